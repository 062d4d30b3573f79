/* What is neither TCP nor UDP, and packets that go past the sockets of their protocol.
 *
 *   raw icmp IP COUNT SIZE                          a flood of echo requests, at most 64 without an answer
 *   raw ping IP COUNT SIZE                          the same from a ping socket, IPv4 or IPv6
 *   raw protocol IP NUMBER COUNT SIZE               packets of another IP protocol (132: with an SCTP header)
 *   raw packet DEVICE MAC FROM TO PORT COUNT SIZE   UDP packets, injected through a packet socket
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW 64
#define ROOM (1 << 16)

static uint16_t checksum(const void *data, int size) {
  const uint16_t *words_of = data;
  uint32_t sum = 0;
  for (int i = 0; i < size / 2; i++)
    sum += words_of[i];
  if (size % 2)
    sum += ((const uint8_t *)data)[size - 1];
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

static void wide(int fd) {
  int room = 32 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
}

static void echoes(const address *to, int kind, uint64_t count, uint32_t size) {
  static unsigned char data[ROOM], into[ROOM];
  int is_v4 = to->any.sa_family == AF_INET, is_raw = kind == SOCK_RAW;
  int fd = must(socket(to->any.sa_family, kind | SOCK_CLOEXEC, is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6),
                is_raw ? "socket(SOCK_RAW, IPPROTO_ICMP)" : "socket(SOCK_DGRAM, IPPROTO_ICMP)");
  wide(fd);
  must(connect(fd, &to->any, length(to)), "connect");
  talk what = {.end = "client", .transport = is_v4 ? "icmp" : "icmpv6", .outcome = "finished", .remote = *to};
  struct icmphdr *header = (struct icmphdr *)data;
  memset(data, 'i', size);
  for (uint64_t sent = 0, answered = 0; answered < count;) {
    if (sent < count && sent - answered < WINDOW) {
      *header = (struct icmphdr){.type = is_v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST};
      header->un.echo.id = htons(getpid() & 0xffff);
      header->un.echo.sequence = htons(sent++);
      header->checksum = checksum(data, size);
      what.sent += must(send(fd, data, size, 0), "send");
      continue;
    }
    await(fd, POLLIN);
    ssize_t in = must(recv(fd, into, sizeof into, 0), "recv");
    int skip = is_raw && is_v4 ? (into[0] & 15) * 4 : 0;
    struct icmphdr *reply = (struct icmphdr *)(into + skip);
    if (reply->type != (is_v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
      continue;
    what.received += in - skip;
    answered++;
  }
  ask(fd, &what);
  close(fd);
  tell(&what);
}

static void protocol(const address *to, int which, uint64_t count, uint32_t size) {
  int fd = must(socket(to->any.sa_family, SOCK_RAW | SOCK_CLOEXEC, which), "socket(SOCK_RAW)");
  must(connect(fd, &to->any, length(to)), "connect");
  talk what = {.end = "client", .transport = which == 132 ? "sctp" : "raw", .outcome = "finished", .remote = *to};
  if (which == 132) {
    uint16_t ports[] = {htons(5000), htons(5001)};
    memcpy(block, ports, sizeof ports);
  }
  for (uint64_t i = 0; i < count; i++) {
    what.sent += must(send(fd, block, size, 0), "send");
    if (i % 64 == 63)
      usleep(200);
  }
  ask(fd, &what);
  close(fd);
  tell(&what);
}

static void packets(const char *device, const char *mac, const address *from, const address *to, uint64_t count,
                    uint32_t size) {
  static struct {
    struct iphdr ip;
    struct udphdr udp;
    unsigned char data[1472];
  } __attribute__((packed)) packet;
  struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_halen = 6};
  unsigned int bytes[6];
  link.sll_ifindex = if_nametoindex(device);
  if (!link.sll_ifindex || sscanf(mac, "%x:%x:%x:%x:%x:%x", bytes, bytes + 1, bytes + 2, bytes + 3, bytes + 4, bytes + 5) != 6)
    die("if_nametoindex");
  for (int i = 0; i < 6; i++)
    link.sll_addr[i] = bytes[i];
  int fd = must(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket(AF_PACKET)");
  const int whole = sizeof packet.ip + sizeof packet.udp + size;
  packet.ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .tot_len = htons(whole)};
  packet.ip.saddr = from->v4.sin_addr.s_addr;
  packet.ip.daddr = to->v4.sin_addr.s_addr;
  packet.ip.check = checksum(&packet.ip, sizeof packet.ip);
  packet.udp = (struct udphdr){.source = from->v4.sin_port, .dest = to->v4.sin_port, .len = htons(8 + size)};
  memset(packet.data, 'p', sizeof packet.data);
  talk what = {.end = "client", .transport = "packet", .outcome = "finished"};
  for (uint64_t i = 0; i < count; i++) {
    must(sendto(fd, &packet, whole, 0, (struct sockaddr *)&link, sizeof link), "sendto(AF_PACKET)");
    what.sent += size;
    if (i % 64 == 63)
      usleep(200);
  }
  socklen_t length_of = sizeof what.cookie;
  getsockopt(fd, SOL_SOCKET, SO_COOKIE, &what.cookie, &length_of);
  what.local = *from;
  what.remote = *to;
  close(fd);
  tell(&what);
}

int raw_main(int count, char **arguments) {
  if (count < 5)
    return 2;
  const char *verb = arguments[1];
  if (!strcmp(verb, "packet") && count > 8) {
    address from = at(arguments[4], "7777"), to = at(arguments[5], arguments[6]);
    packets(arguments[2], arguments[3], &from, &to, number(arguments[7]), number(arguments[8]));
    return 0;
  }
  address to = at(arguments[2], "0");
  if (!strcmp(verb, "icmp") || !strcmp(verb, "ping"))
    echoes(&to, verb[0] == 'i' ? SOCK_RAW : SOCK_DGRAM, number(arguments[3]), number(arguments[4]));
  else if (!strcmp(verb, "protocol") && count > 5)
    protocol(&to, number(arguments[3]), number(arguments[4]), number(arguments[5]));
  else
    return 2;
  return 0;
}
