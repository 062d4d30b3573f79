/* Servers. They end when their standard input ends, and have told then what they did.
 *
 *   serve tcp IP PORT           one process for all connections
 *   serve mptcp IP PORT         the same over Multipath TCP
 *   serve udp IP PORT           one socket for all peers
 *   serve fork IP PORT          a child of its own for each connection
 *   serve pass IP PORT          accepts, and passes the connections to another process
 *   serve untouched IP PORT     a forked worker accepts, and closes without a word
 *   serve raw IP PROTOCOL       swallows what comes over this IP protocol
 */
#define _GNU_SOURCE
#include "load.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

void ready(void) { must(write(1, "{\"ready\":true}\n", 15), "write"); }

int listen_at(const address *where, int protocol) {
  int one = 1, fd = tcp_socket(where, protocol);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  must(bind(fd, &where->any, length(where)), "bind");
  must(listen(fd, 4096), "listen");
  return fd;
}

/* Waits for a socket to be readable; 0 when it is time to end. */
static int wait_for(int fd) {
  struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  must(poll(both, 2, -1), "poll");
  return !both[1].revents;
}

static void serve_fork(int listener) {
  while (wait_for(listener)) {
    int fd = must(accept(listener, NULL, NULL), "accept");
    pid_t child = must(fork(), "fork");
    if (child == 0) {
      reborn();
      close(listener);
      serve_connection(fd);
      flush();
      _exit(0);
    }
    close(fd);
    while (waitpid(-1, NULL, WNOHANG) > 0)
      ;
  }
  while (wait(NULL) > 0)
    ;
}

static void serve_untouched(int listener) {
  pid_t child = must(fork(), "fork");
  if (child == 0) {
    reborn();
    while (wait_for(listener)) {
      talk what = {.end = "server", .transport = "tcp", .outcome = "finished"};
      int fd = must(accept(listener, NULL, NULL), "accept");
      ask(fd, &what);
      close(fd);
      tell(&what);
    }
    flush();
    _exit(0);
  }
  wait(NULL);
}

/* Sends a descriptor to another process, or receives one (`fd` < 0); -1 at the end. */
static int hand_over(int over, int fd) {
  char byte = 'f', space[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  if (fd >= 0) {
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return must(sendmsg(over, &message, 0), "sendmsg(SCM_RIGHTS)");
  }
  if (must(recvmsg(over, &message, 0), "recvmsg(SCM_RIGHTS)") == 0 || !CMSG_FIRSTHDR(&message))
    return -1;
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

static void serve_pass(int listener) {
  int pair[2], fd;
  must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), "socketpair");
  pid_t worker = must(fork(), "fork");
  if (worker == 0) {
    reborn();
    close(pair[0]);
    close(listener);
    while ((fd = hand_over(pair[1], -1)) >= 0)
      serve_connection(fd);
    flush();
    _exit(0);
  }
  close(pair[1]);
  while (wait_for(listener)) {
    fd = must(accept(listener, NULL, NULL), "accept");
    hand_over(pair[0], fd);
    close(fd);
  }
  close(pair[0]);
  wait(NULL);
}

static void serve_raw(const address *where, int protocol) {
  static unsigned char into[1 << 16];
  int one = 32 << 20, fd = must(socket(where->any.sa_family, SOCK_RAW | SOCK_CLOEXEC, protocol), "socket(SOCK_RAW)");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &one, sizeof one);
  must(bind(fd, &where->any, length(where)), "bind(SOCK_RAW)");
  talk what = {.end = "server", .transport = "raw", .outcome = "finished"};
  ready();
  while (wait_for(fd)) {
    socklen_t size = sizeof what.remote;
    ssize_t in = must(recvfrom(fd, into, sizeof into, 0, &what.remote.any, &size), "recvfrom");
    /* IPv4 raw sockets get the IP header, too. */
    what.received += where->any.sa_family == AF_INET ? in - (into[0] & 15) * 4 : in;
  }
  ask(fd, &what);
  tell(&what);
}

int serve_main(int count, char **arguments) {
  if (count < 4)
    return 2;
  const char *verb = arguments[1];
  address where = at(arguments[2], arguments[3]);
  if (!strcmp(verb, "tcp") || !strcmp(verb, "mptcp"))
    return serve_tcp(&where, verb[0] == 'm' ? IPPROTO_MPTCP : 0);
  if (!strcmp(verb, "udp"))
    return serve_udp(&where);
  if (!strcmp(verb, "raw")) {
    where = at(arguments[2], "0");
    serve_raw(&where, number(arguments[3]));
    return 0;
  }
  int listener = listen_at(&where, 0);
  ready();
  if (!strcmp(verb, "fork"))
    serve_fork(listener);
  else if (!strcmp(verb, "pass"))
    serve_pass(listener);
  else if (!strcmp(verb, "untouched"))
    serve_untouched(listener);
  else
    return 2;
  return 0;
}
