/* A program that does on the network what it is told, one command a line on its standard input, and answers each
 * line with one line. It ends when its input ends, so that none outlives its test. Compiled by the tests, with
 * another VERSION where they need another binary of the same behaviour.
 *
 *   tcp ADDRESS PORT COUNT      connect COUNT times and keep the connections
 *   listen ADDRESS PORT         accept and keep (what comes in is sent back)
 *   udp ADDRESS PORT            a connected datagram socket
 *   bind ADDRESS PORT           a datagram socket without a peer
 *   query ADDRESS PORT COUNT    COUNT datagrams from COUNT sockets, each closed at once
 *   churn ADDRESS PORT COUNT    connect and close COUNT times
 *   say TEXT                    send TEXT on the newest connection
 *   close                       close everything
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "1"
#endif

#define MAX 19000

const char version[] = "actor version " VERSION;

static struct pollfd fds[MAX];
static char listens[MAX];
static int count = 1;

static int keep(int fd, int is_listener) {
  if (count == MAX) {
    close(fd);
    errno = EMFILE;
    return -1;
  }
  fds[count].fd = fd;
  fds[count].events = POLLIN;
  listens[count++] = is_listener;
  return 0;
}

static int reach(const char *address, const char *port, int kind, int passive) {
  struct addrinfo want = {.ai_socktype = kind, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
  if (getaddrinfo(address, port, &want, &found)) {
    errno = EINVAL;
    return -1;
  }
  int one = 1, fd = socket(found->ai_family, kind | SOCK_CLOEXEC, 0);
  int bad = fd < 0;
  if (!bad && passive) {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bad = bind(fd, found->ai_addr, found->ai_addrlen) || (kind == SOCK_STREAM && listen(fd, 4096));
  } else if (!bad) {
    bad = connect(fd, found->ai_addr, found->ai_addrlen);
  }
  int error = errno;
  freeaddrinfo(found);
  if (bad && fd >= 0)
    close(fd);
  errno = error;
  return bad ? -1 : fd;
}

/* Serves what is ready now; with `block`, waits until something is. */
static void serve(int block) {
  if (poll(fds, count, block ? -1 : 0) <= 0)
    return;
  int had = count;
  for (int i = 1; i < had; i++) {
    if (!fds[i].revents)
      continue;
    if (listens[i]) {
      int fd = accept(fds[i].fd, NULL, NULL);
      if (fd >= 0)
        keep(fd, 0);
      continue;
    }
    char bytes[4096];
    ssize_t length = recv(fds[i].fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (length > 0) {
      /* Send back only what did not come from ourselves: `say` ends in a newline, an echo is not echoed. */
      if (bytes[0] != '<')
        (void)!(send(fds[i].fd, "<", 1, MSG_NOSIGNAL));
    } else if (length == 0 || (errno != EAGAIN && errno != ECONNREFUSED)) {
      close(fds[i].fd);
      fds[i].fd = -1;
    }
  }
  int kept = 1;
  for (int i = 1; i < count; i++)
    if (fds[i].fd >= 0) {
      listens[kept] = listens[i];
      fds[kept++] = fds[i];
    }
  count = kept;
}

static int obey(char *line) {
  char verb[16] = "", address[64] = "", port[16] = "";
  int many = 1;
  sscanf(line, "%15s %63s %15s %d", verb, address, port, &many);
  if (!strcmp(verb, "tcp") || !strcmp(verb, "churn")) {
    for (int i = 0; i < many; i++) {
      int fd = reach(address, port, SOCK_STREAM, 0);
      if (fd < 0)
        return -1;
      if (verb[0] == 'c')
        close(fd);
      else if (keep(fd, 0))
        return -1;
      serve(0);
    }
    return 0;
  }
  if (!strcmp(verb, "query")) {
    for (int i = 0; i < many; i++) {
      int fd = reach(address, port, SOCK_DGRAM, 0);
      if (fd < 0 || send(fd, "?", 1, 0) < 0)
        return -1;
      close(fd);
    }
    return 0;
  }
  if (!strcmp(verb, "say"))
    return send(fds[count - 1].fd, line + 4, strlen(line + 4), MSG_NOSIGNAL) < 0 ? -1 : 0;
  if (!strcmp(verb, "close")) {
    while (count > 1)
      close(fds[--count].fd);
    return 0;
  }
  int datagram = !strcmp(verb, "udp") || !strcmp(verb, "bind");
  int passive = !strcmp(verb, "listen") || !strcmp(verb, "bind");
  if (!datagram && !passive) {
    errno = EINVAL;
    return -1;
  }
  int fd = reach(address, port, datagram ? SOCK_DGRAM : SOCK_STREAM, passive);
  return fd < 0 ? -1 : keep(fd, passive && !datagram);
}

int main(void) {
  char line[4096];
  size_t length = 0;
  fds[0].fd = 0;
  fds[0].events = POLLIN;
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    serve(1);
    if (!(fds[0].revents))
      continue;
    ssize_t more = read(0, line + length, sizeof line - 1 - length);
    if (more <= 0)
      return 0;
    length += more;
    line[length] = 0;
    char *end;
    while ((end = strchr(line, '\n'))) {
      *end = 0;
      errno = 0;
      int bad = obey(line);
      printf(bad ? "error: %s: %s\n" : "done %s\n", line, strerror(errno));
      fflush(stdout);
      length -= end + 1 - line;
      memmove(line, end + 1, length + 1);
    }
  }
}
