/* A UDP server of one socket, that counts for each peer. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MAX_PEERS (1 << 16)

static talk *peers[MAX_PEERS];

/* The peer's place in an open hash; the oldest of a full table is never evicted, the program ends instead. */
static talk *peer_of(const address *remote) {
  const unsigned char *bytes = (const unsigned char *)remote;
  uint32_t hash = 2166136261u;
  for (socklen_t i = 0; i < length(remote); i++)
    hash = (hash ^ bytes[i]) * 16777619u;
  for (uint32_t step = 0; step < MAX_PEERS; step++) {
    talk **place = &peers[(hash + step) % MAX_PEERS];
    if (!*place) {
      *place = calloc(1, sizeof(talk));
      if (!*place)
        die("calloc");
      **place = (talk){.end = "server", .transport = "udp", .outcome = "finished", .remote = *remote};
    }
    if (!memcmp(&(*place)->remote, remote, length(remote)))
      return *place;
  }
  errno = ENOSPC;
  die("too many peers");
}

static void answer(int fd, talk *peer, const unsigned char *data, ssize_t size) {
  request wanted = {0};
  memcpy(&wanted, data, (size_t)size < sizeof wanted ? (size_t)size : sizeof wanted);
  if (wanted.letter == 'E')
    peer->sent += must(sendto(fd, data, size, 0, &peer->remote.any, length(&peer->remote)), "sendto");
  if (wanted.letter == 'D' && wanted.size <= BLOCK)
    for (uint32_t i = 0; i < wanted.count; i++)
      peer->sent += must(sendto(fd, block, wanted.size, 0, &peer->remote.any, length(&peer->remote)), "sendto");
}

int serve_udp(const address *where) {
  static unsigned char into[BLOCK];
  int room = 64 << 20, fd = must(socket(where->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket(SOCK_DGRAM)");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  must(bind(fd, &where->any, length(where)), "bind");
  struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  ready();
  for (;;) {
    must(poll(both, 2, -1), "poll");
    for (;;) {
      address remote = {0};
      socklen_t size = sizeof remote;
      ssize_t in = recvfrom(fd, into, sizeof into, MSG_DONTWAIT, &remote.any, &size);
      if (in < 0)
        break;
      talk *peer = peer_of(&remote);
      peer->received += in;
      answer(fd, peer, into, in);
    }
    if (both[1].revents)
      break;
  }
  for (int i = 0; i < MAX_PEERS && !quiet; i++)
    if (peers[i]) {
      ask(fd, peers[i]);
      tell(peers[i]);
    }
  return 0;
}
