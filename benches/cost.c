/* Runs a program, its output thrown away, and prints what it cost: CPU seconds, wall seconds, peak KiB, exit code.
 * A small program of its own, because the kernel counts the launcher's memory as the launched one's. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words) {
  struct timespec begin, end;
  struct rusage usage;
  int status;
  if (count < 2)
    return 2;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  pid_t pid = fork();
  if (pid == 0) {
    int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, 0);
    dup2(nothing, 1);
    dup2(nothing, 2);
    execvp(words[1], words + 1);
    _exit(127);
  }
  if (pid < 0 || wait4(pid, &status, 0, &usage) < 0)
    return 3;
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.6f %.6f %ld %d\n",
         usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
         end.tv_sec - begin.tv_sec + (end.tv_nsec - begin.tv_nsec) / 1e9, usage.ru_maxrss,
         WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 0;
}
