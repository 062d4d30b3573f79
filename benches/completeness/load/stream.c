/* TCP clients.
 *
 *   tcp exchange IP PORT UP DOWN [plain|sendfile|splice|mptcp]   one connection with so many bytes each way
 *   tcp small IP PORT COUNT UP DOWN [PAUSE]                      one after the other; PAUSE in microseconds while open
 *   tcp drip IP PORT COUNT MILLISECONDS                          one byte now and then
 *   tcp pingpong IP PORT COUNT                                   one byte there, one back
 *   tcp reset IP PORT COUNT                                      ended by a reset
 *   tcp untouched IP PORT COUNT                                  nothing is sent either way
 *   tcp refused IP PORT COUNT                                    nobody listens
 *   tcp unanswered IP PORT COUNT MILLISECONDS                    given up after a while
 */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

int tcp_socket(const address *to, int protocol) {
  return must(socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, protocol),
              protocol == IPPROTO_MPTCP ? "socket(IPPROTO_MPTCP)" : "socket(SOCK_STREAM)");
}

static int reach(const address *to, int protocol) {
  int one = 1, fd = tcp_socket(to, protocol);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  must(connect(fd, &to->any, length(to)), "connect");
  return fd;
}

/* Sends some of `left`; -1 with EAGAIN when there is no room. */
static ssize_t put(int fd, uint64_t left, enum how how, int *source, int pipes[2]) {
  size_t some = left < BLOCK ? left : BLOCK;
  if (how == PLAIN)
    return send(fd, block, some, MSG_DONTWAIT);
  if (*source < 0) {
    *source = file_of(left);
    lseek(*source, 0, SEEK_SET);
  }
  if (how == SENDFILE)
    return sendfile(fd, *source, NULL, some);
  ssize_t moved = must(splice(*source, NULL, pipes[1], NULL, some, 0), "splice(file to pipe)");
  for (ssize_t out = 0; out < moved;) {
    ssize_t more = splice(pipes[0], NULL, fd, NULL, moved - out, SPLICE_F_MOVE | SPLICE_F_MORE);
    if (more < 0 && errno == EAGAIN)
      await(fd, POLLOUT);
    else
      out += must(more, "splice(pipe to socket)");
  }
  return moved;
}

/* Reads some; 0 at the end. */
static ssize_t get(int fd, enum how how, int nothing, int pipes[2]) {
  static unsigned char into[BLOCK];
  if (how != SPLICE)
    return recv(fd, into, sizeof into, MSG_DONTWAIT);
  ssize_t moved = splice(fd, NULL, pipes[1], NULL, BLOCK, SPLICE_F_NONBLOCK);
  for (ssize_t out = 0; out < moved;)
    out += must(splice(pipes[0], NULL, nothing, NULL, moved - out, 0), "splice(pipe to file)");
  return moved;
}

void exchange(int fd, talk *what, uint64_t up, uint64_t down, enum how how) {
  wish first = {up, down};
  int source = -1, nothing = -1, there[2] = {-1, -1}, back[2] = {-1, -1};
  if (how == SPLICE) {
    must(pipe(there), "pipe");
    must(pipe(back), "pipe");
    nothing = must(open("/dev/null", O_WRONLY), "open(/dev/null)");
  }
  what->sent += must(send(fd, &first, sizeof first, 0), "send");
  int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  while (what->sent < up || what->received < down) {
    ssize_t in = -1, out = -1;
    if (what->sent < up && (out = put(fd, up - what->sent, how, &source, there)) < 0 && errno != EAGAIN)
      die(how == SENDFILE ? "sendfile" : "send");
    if (what->received < down && (in = get(fd, how, nothing, back)) < 0 && errno != EAGAIN)
      die(how == SPLICE ? "splice(socket to pipe)" : "recv");
    if (in == 0) {
      errno = ECONNRESET;
      die("recv: ended early");
    }
    what->sent += out > 0 ? out : 0;
    what->received += in > 0 ? in : 0;
    if (in < 0 && out < 0)
      await(fd, (what->sent < up ? POLLOUT : 0) | (what->received < down ? POLLIN : 0));
  }
  fcntl(fd, F_SETFL, flags);
  int ends[] = {source, nothing, there[0], there[1], back[0], back[1]};
  for (int i = 0; i < 6; i++)
    if (ends[i] >= 0)
      close(ends[i]);
}

/* Closes in order: what was sent has arrived when this returns. */
static void finish(int fd, talk *what) {
  char rest;
  ask(fd, what);
  shutdown(fd, SHUT_WR);
  must(recv(fd, &rest, 1, 0), "recv");
  ask_last(fd, what);
  close(fd);
  tell(what);
}

static void pause_for(uint64_t microseconds) {
  if (microseconds)
    usleep(microseconds);
}

/* One small connection as most programs have them: written, read, closed. */
static void small_paused(const address *to, uint64_t up, uint64_t down, uint64_t pause) {
  talk what = {.end = "client", .transport = "tcp", .outcome = "finished"};
  int fd = reach(to, 0);
  wish first = {up, down};
  memcpy(block, &first, sizeof first);
  what.sent = must(send(fd, block, up, 0), "send");
  while (what.received < down) {
    static char into[4096];
    ssize_t more = must(recv(fd, into, sizeof into, 0), "recv");
    if (more == 0)
      die("recv: ended early");
    what.received += more;
  }
  pause_for(pause);
  ask(fd, &what);
  ask_last(fd, &what);
  close(fd);
  tell(&what);
}

void small(const address *to, uint64_t up, uint64_t down) { small_paused(to, up, down, 0); }

static void drip(const address *to, uint64_t count, uint64_t milliseconds) {
  talk what = {.end = "client", .transport = "tcp", .outcome = "finished"};
  int fd = reach(to, 0);
  wish first = {sizeof first + count, 0};
  what.sent = must(send(fd, &first, sizeof first, 0), "send");
  for (uint64_t i = 0; i < count; i++) {
    usleep(milliseconds * 1000);
    what.sent += must(send(fd, "d", 1, 0), "send");
  }
  finish(fd, &what);
}

static void pingpong(const address *to, uint64_t count) {
  talk what = {.end = "client", .transport = "tcp", .outcome = "finished"};
  int fd = reach(to, 0);
  wish first = {sizeof first + count, ECHO};
  what.sent = must(send(fd, &first, sizeof first, 0), "send");
  for (uint64_t i = 0; i < count; i++) {
    char byte = 'p';
    what.sent += must(send(fd, &byte, 1, 0), "send");
    what.received += must(recv(fd, &byte, 1, 0), "recv");
  }
  finish(fd, &what);
}

static void reset(const address *to) {
  talk what = {.end = "client", .transport = "tcp", .outcome = "reset"};
  int fd = reach(to, 0);
  wish first = {sizeof first, 1};
  char byte;
  what.sent = must(send(fd, &first, sizeof first, 0), "send");
  what.received = must(recv(fd, &byte, 1, 0), "recv");
  struct linger hard = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ask(fd, &what);
  close(fd);
  tell(&what);
}

static void untouched(const address *to) {
  talk what = {.end = "client", .transport = "tcp", .outcome = "finished"};
  finish(reach(to, 0), &what);
}

/* An attempt that fails: at once, or when its process gives up. */
static void fail(const address *to, int milliseconds) {
  talk what = {.end = "client", .transport = "tcp", .outcome = milliseconds ? "abandoned" : "refused", .remote = *to};
  int fd = tcp_socket(to, 0);
  if (!milliseconds) {
    if (connect(fd, &to->any, length(to)) == 0 || errno != ECONNREFUSED)
      die("connect: not refused");
    ask(fd, &what);
  } else {
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (connect(fd, &to->any, length(to)) == 0 || errno != EINPROGRESS)
      die("connect: not in progress");
    ask(fd, &what);
    usleep(milliseconds * 1000);
  }
  close(fd);
  tell(&what);
}

int stream_main(int count, char **arguments) {
  if (count < 5)
    return 2;
  const char *verb = arguments[1];
  address to = at(arguments[2], arguments[3]);
  uint64_t many = number(arguments[4]);
  const uint64_t second = count > 5 ? number(arguments[5]) : 0;
  if (!strcmp(verb, "exchange")) {
    const char *name = count > 6 ? arguments[6] : "plain";
    int is_mptcp = !strcmp(name, "mptcp");
    enum how how = !strcmp(name, "sendfile") ? SENDFILE : !strcmp(name, "splice") ? SPLICE : PLAIN;
    talk what = {.end = "client", .transport = "tcp", .outcome = "finished"};
    int fd = reach(&to, is_mptcp ? IPPROTO_MPTCP : 0);
    exchange(fd, &what, many, second, how);
    finish(fd, &what);
  } else if (!strcmp(verb, "small")) {
    while (many--)
      small_paused(&to, second, number(arguments[6]), count > 7 ? number(arguments[7]) : 0);
  } else if (!strcmp(verb, "drip")) {
    drip(&to, many, second);
  } else if (!strcmp(verb, "pingpong")) {
    pingpong(&to, many);
  } else if (!strcmp(verb, "reset")) {
    while (many--)
      reset(&to);
  } else if (!strcmp(verb, "untouched")) {
    while (many--)
      untouched(&to);
  } else if (!strcmp(verb, "refused") || !strcmp(verb, "unanswered")) {
    while (many--)
      fail(&to, verb[0] == 'u' ? (int)second : 0);
  } else {
    return 2;
  }
  return 0;
}
