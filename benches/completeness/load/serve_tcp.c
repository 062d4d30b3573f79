/* A TCP server of one process: whatever its clients wish for. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MAX_FDS 20000

/* A connection that is being served. */
typedef struct {
  talk what;
  wish first;
  int waits_for_room;
} served;

static served *clients[MAX_FDS];
static int poller;

static void watch(int fd, uint32_t events, int change) {
  struct epoll_event wanted = {.events = events, .data.fd = fd};
  must(epoll_ctl(poller, change, fd, &wanted), "epoll_ctl");
}

static size_t missing(const served *client) {
  return client->what.received < sizeof client->first ? sizeof client->first - client->what.received : 0;
}

static int owes(const served *client) {
  return !missing(client) && client->first.down != ECHO && client->what.sent < client->first.down;
}

/* One step: reads what is there, sends what was wished for. Gives 0 when the client has ended. */
static int step(int fd, served *client, int flags) {
  static unsigned char into[BLOCK];
  talk *what = &client->what;
  ssize_t in = recv(fd, into, sizeof into, flags);
  if (in == 0 || (in < 0 && errno != EAGAIN)) {
    what->outcome = in ? "reset" : "finished";
    return 0;
  }
  if (in > 0) {
    size_t head = missing(client);
    if (head > (size_t)in)
      head = in;
    memcpy((char *)&client->first + sizeof client->first - missing(client), into, head);
    what->received += in;
    if (!missing(client) && client->first.down == ECHO && (size_t)in > head)
      what->sent += must(send(fd, into + head, in - head, 0), "send");
  }
  while (owes(client)) {
    uint64_t left = client->first.down - what->sent;
    ssize_t out = send(fd, block, left < BLOCK ? left : BLOCK, flags);
    if (out < 0)
      break;
    what->sent += out;
  }
  return 1;
}

void serve_connection(int fd) {
  served client = {.what = {.end = "server", .transport = "tcp"}};
  ask(fd, &client.what);
  while (step(fd, &client, 0))
    ;
  ask_last(fd, &client.what);
  close(fd);
  tell(&client.what);
}

static void accept_all(int listener) {
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
    if (fd < MAX_FDS && !clients[fd])
      clients[fd] = malloc(sizeof(served));
    if (fd >= MAX_FDS || !clients[fd]) {
      close(fd);
      continue;
    }
    *clients[fd] = (served){.what = {.end = "server", .transport = "tcp"}};
    ask(fd, &clients[fd]->what);
    watch(fd, EPOLLIN, EPOLL_CTL_ADD);
  }
}

int serve_tcp(const address *where, int protocol) {
  struct epoll_event events[256];
  int listener = listen_at(where, protocol);
  fcntl(listener, F_SETFL, O_NONBLOCK);
  poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  watch(listener, EPOLLIN, EPOLL_CTL_ADD);
  watch(0, EPOLLIN, EPOLL_CTL_ADD);
  ready();
  for (;;) {
    int count = epoll_wait(poller, events, 256, -1), is_over = 0;
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == 0) {
        is_over = 1;
      } else if (fd == listener) {
        accept_all(listener);
      } else if (!step(fd, clients[fd], MSG_DONTWAIT)) {
        ask_last(fd, &clients[fd]->what);
        close(fd);
        tell(&clients[fd]->what);
      } else if (clients[fd]->waits_for_room != owes(clients[fd])) {
        clients[fd]->waits_for_room = owes(clients[fd]);
        watch(fd, clients[fd]->waits_for_room ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
      }
    }
    if (is_over)
      return 0;
  }
}
