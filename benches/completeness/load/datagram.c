/* UDP clients.
 *
 *   udp up IP PORT COUNT SIZE [plain|mmsg|gso]   one connected socket; the last datagram is answered
 *   udp down IP PORT COUNT SIZE [plain|mmsg]           asks once, gets COUNT datagrams
 *   udp echo IP PORT COUNT SIZE                        one socket, one after the other
 *   udp fresh IP PORT COUNT SIZE                       the same with a socket each, every other one not connected
 *   udp many IP PORT COUNT SIZE                        one socket, three datagrams to each of COUNT addresses from IP on
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#define BATCH 32

static int udp_socket(const address *to, int connects) {
  int room = 64 << 20, fd = must(socket(to->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket(SOCK_DGRAM)");
  if (connects) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    must(connect(fd, &to->any, length(to)), "connect");
  }
  return fd;
}

/* A datagram that is sent back: when the answer is here, everything before it has arrived. */
static void echo(int fd, talk *what, uint32_t size) {
  static unsigned char data[1 << 16];
  memset(data, 'x', size);
  *(request *)data = (request){.letter = 'E'};
  what->sent += must(send(fd, data, size, 0), "send");
  await(fd, POLLIN);
  what->received += must(recv(fd, data, sizeof data, 0), "recv");
}

static void up(int fd, talk *what, uint64_t count, uint32_t size, const char *how) {
  struct mmsghdr messages[BATCH] = {0};
  struct iovec data = {block, size};
  for (int i = 0; i < BATCH; i++)
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &data, .msg_iovlen = 1};
  int batch = 1;
  if (!strcmp(how, "gso")) {
    int segment = size;
    must(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment), "setsockopt(UDP_SEGMENT)");
    batch = 40;
  } else if (!strcmp(how, "mmsg")) {
    batch = BATCH;
  }
  for (uint64_t done = 0; done < count;) {
    int some = count - done < (uint64_t)batch ? (int)(count - done) : batch;
    if (!strcmp(how, "mmsg")) {
      some = must(sendmmsg(fd, messages, some, 0), "sendmmsg");
      for (int i = 0; i < some; i++)
        what->sent += messages[i].msg_len;
    } else {
      what->sent += must(send(fd, block, (size_t)size * some, 0), "send");
    }
    done += some;
    if (done % 320 == 0) /* The reader has to keep up. */
      usleep(200);
  }
  int none = 0;
  setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none);
  echo(fd, what, size);
}

static void down(int fd, talk *what, uint32_t count, uint32_t size, const char *how) {
  static unsigned char into[BATCH][2048];
  struct mmsghdr messages[BATCH] = {0};
  struct iovec data[BATCH];
  int is_batch = !strcmp(how, "mmsg");
  for (int i = 0; i < BATCH; i++) {
    data[i] = (struct iovec){into[i], sizeof into[i]};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &data[i], .msg_iovlen = 1};
  }
  request wanted = {'D', count, size};
  what->sent += must(send(fd, &wanted, sizeof wanted, 0), "send");
  for (uint32_t done = 0; done < count;) {
    await(fd, POLLIN);
    if (!is_batch) {
      what->received += must(recv(fd, into[0], sizeof into[0], 0), "recv");
      done++;
      continue;
    }
    int some = must(recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL), "recvmmsg");
    for (int i = 0; i < some; i++)
      what->received += messages[i].msg_len;
    done += some;
  }
}

static void fresh(const address *to, uint64_t count, uint32_t size) {
  static unsigned char data[1 << 16];
  *(request *)data = (request){.letter = 'E'};
  while (count--) {
    talk what = {.end = "client", .transport = "udp", .outcome = "finished", .remote = *to};
    int connects = count % 2, fd = must(socket(to->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket(SOCK_DGRAM)");
    if (connects)
      must(connect(fd, &to->any, length(to)), "connect");
    what.sent = must(sendto(fd, data, size, 0, connects ? NULL : &to->any, connects ? 0 : length(to)), "sendto");
    what.received = must(recv(fd, data, sizeof data, 0), "recv");
    ask(fd, &what);
    close(fd);
    tell(&what);
  }
}

static void many(address to, uint64_t count, uint32_t size) {
  int fd = udp_socket(&to, 0);
  address any = {.v4 = {.sin_family = AF_INET}};
  must(bind(fd, &any.any, length(&any)), "bind");
  for (int round = 0; round < 3; round++)
    for (uint64_t i = 0; i < count; i++) {
      address peer = to;
      peer.v4.sin_addr.s_addr = htonl(ntohl(to.v4.sin_addr.s_addr) + i);
      must(sendto(fd, block, size, 0, &peer.any, length(&peer)), "sendto");
    }
  for (uint64_t i = 0; i < count; i++) {
    talk what = {.end = "client", .transport = "udp", .outcome = "finished", .sent = 3ull * size, .remote = to};
    what.remote.v4.sin_addr.s_addr = htonl(ntohl(to.v4.sin_addr.s_addr) + i);
    ask(fd, &what);
    tell(&what);
  }
  close(fd);
}

int datagram_main(int count, char **arguments) {
  if (count < 6)
    return 2;
  const char *verb = arguments[1], *how = count > 6 ? arguments[6] : "plain";
  address to = at(arguments[2], arguments[3]);
  uint64_t datagrams = number(arguments[4]);
  uint32_t size = number(arguments[5]);
  if (size < sizeof(request) || size > 1472) {
    errno = EMSGSIZE;
    die("size");
  }
  if (!strcmp(verb, "fresh") || !strcmp(verb, "many")) {
    verb[0] == 'f' ? fresh(&to, datagrams, size) : many(to, datagrams, size);
    return 0;
  }
  talk what = {.end = "client", .transport = "udp", .outcome = "finished"};
  int fd = udp_socket(&to, 1);
  if (!strcmp(verb, "up"))
    up(fd, &what, datagrams, size, how);
  else if (!strcmp(verb, "down"))
    down(fd, &what, datagrams, size, how);
  else if (!strcmp(verb, "echo"))
    while (datagrams--)
      echo(fd, &what, size);
  else
    return 2;
  ask(fd, &what);
  close(fd);
  tell(&what);
  return 0;
}
