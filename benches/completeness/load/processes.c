/* Processes that talk.
 *
 *   processes each COUNT IP PORT         COUNT processes, one after the other, each started anew, with one connection
 *   processes one IP PORT                such a process
 *   processes burst COUNT MANY IP PORT   COUNT processes at the same time, MANY connections each
 *   processes hand IP PORT COUNT         connects, and another process uses the connection
 *   processes boxed GROUP ROOT NETWORK WORD…   runs a generator in a container of its own: control group GROUP, root
 *                                        folder ROOT (this program is /load there), network namespace NETWORK
 */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define UP 116
#define DOWN 100

static void wait_for(pid_t child) {
  int status;
  must(waitpid(child, &status, 0), "waitpid");
  if (status) {
    errno = ECHILD;
    die("a child failed");
  }
}

static void each(uint64_t count, char *ip, char *port) {
  char *arguments[] = {words[0], "processes", "one", ip, port, NULL};
  while (count--) {
    pid_t child = must(vfork(), "vfork");
    if (child == 0) {
      execv(words[0], arguments);
      _exit(127);
    }
    wait_for(child);
  }
}

static void burst(uint64_t count, uint64_t each_one, const address *to) {
  int gate[2];
  char byte;
  must(pipe(gate), "pipe");
  for (uint64_t i = 0; i < count; i++)
    if (must(fork(), "fork") == 0) {
      reborn();
      close(gate[1]);
      (void)!read(gate[0], &byte, 1); /* until the gate opens for all */
      for (uint64_t j = 0; j < each_one; j++)
        small(to, 4096, 16384);
      flush();
      _exit(0);
    }
  close(gate[1]);
  while (count--)
    wait_for(-1);
}

/* The connection is made here and inherited; only the child uses it. */
static void hand(const address *to, uint64_t count) {
  while (count--) {
    talk what = {.end = "client", .transport = "tcp", .outcome = "finished"};
    int fd = tcp_socket(to, 0);
    must(connect(fd, &to->any, length(to)), "connect");
    pid_t child = must(fork(), "fork");
    if (child == 0) {
      reborn();
      exchange(fd, &what, 50000, 50000, PLAIN);
      ask(fd, &what);
      ask_last(fd, &what);
      tell(&what);
      flush();
      _exit(0);
    }
    close(fd);
    wait_for(child);
  }
}

/* Prints the pid that the process has outside: inside it does not know. */
static void boxed(char **arguments) {
  char pid[32], *inside[32] = {"/load"};
  int size = snprintf(pid, sizeof pid, "%d", getpid());
  int group = must(open(arguments[0], O_WRONLY | O_CLOEXEC), "open(cgroup.procs)");
  must(write(group, pid, size), "write(cgroup.procs)");
  int network = must(open(arguments[2], O_RDONLY | O_CLOEXEC), "open(network namespace)");
  must(setns(network, CLONE_NEWNET), "setns");
  must(unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC), "unshare");
  for (int i = 0; arguments[3 + i] && i < 30; i++)
    inside[1 + i] = arguments[3 + i];
  pid_t child = must(fork(), "fork");
  if (child == 0) {
    reborn();
    must(chroot(arguments[1]), "chroot");
    must(chdir("/"), "chdir");
    execv(inside[0], inside);
    die("execv");
  }
  printf("{\"boxed\":%d}\n", child);
  fflush(stdout);
  wait_for(child);
}

int processes_main(int count, char **arguments) {
  if (count < 4)
    return 2;
  const char *verb = arguments[1];
  if (!strcmp(verb, "one")) {
    address to = at(arguments[2], arguments[3]);
    small(&to, UP, DOWN);
  } else if (!strcmp(verb, "each") && count > 4) {
    each(number(arguments[2]), arguments[3], arguments[4]);
  } else if (!strcmp(verb, "burst") && count > 5) {
    address to = at(arguments[4], arguments[5]);
    burst(number(arguments[2]), number(arguments[3]), &to);
  } else if (!strcmp(verb, "hand") && count > 4) {
    address to = at(arguments[2], arguments[3]);
    hand(&to, number(arguments[4]));
  } else if (!strcmp(verb, "boxed") && count > 5) {
    boxed(arguments + 2);
  } else {
    return 2;
  }
  return 0;
}
