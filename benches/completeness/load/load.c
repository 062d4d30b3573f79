/* Generators of network load, in one program: `load GENERATOR ARGUMENTS…`. Each prints what it did, see load.h. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* No generator lives longer than this, in seconds. */
#define LIFETIME 120

int quiet;
char **words;
unsigned char block[BLOCK];

static char *lines;
static size_t written, room;
static double born;

static double clock_of(clockid_t which) {
  struct timespec time;
  clock_gettime(which, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

double now(void) { return clock_of(CLOCK_MONOTONIC); }

void flush(void) {
  /* Whole lines in one write: several processes append to one file. */
  for (size_t done = 0; done < written;) {
    ssize_t more = write(1, lines + done, written - done);
    if (more < 0)
      break;
    done += more;
  }
  written = 0;
}

static void line(const char *text, int size) {
  if (written + size > room) {
    room = (written + size) * 2 + 4096;
    lines = realloc(lines, room);
    if (!lines)
      _exit(4);
  }
  memcpy(lines + written, text, size);
  written += size;
}

void reborn(void) {
  written = 0;
  born = clock_of(CLOCK_BOOTTIME);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(LIFETIME);
}

void die(const char *call) {
  char text[256];
  line(text, snprintf(text, sizeof text, "{\"failed\":\"%s: %s\"}\n", call, strerror(errno)));
  flush();
  _exit(3);
}

long must(long result, const char *call) {
  if (result < 0)
    die(call);
  return result;
}

uint64_t number(const char *word) { return strtoull(word, NULL, 10); }

address at(const char *ip, const char *port) {
  address found = {0};
  if (inet_pton(AF_INET, ip, &found.v4.sin_addr) == 1) {
    found.v4.sin_family = AF_INET;
    found.v4.sin_port = htons(number(port));
  } else if (inet_pton(AF_INET6, ip, &found.v6.sin6_addr) == 1) {
    found.v6.sin6_family = AF_INET6;
    found.v6.sin6_port = htons(number(port));
  } else {
    errno = EINVAL;
    die(ip);
  }
  return found;
}

socklen_t length(const address *where) { return where->any.sa_family == AF_INET ? sizeof where->v4 : sizeof where->v6; }

void ask(int fd, talk *what) {
  if (quiet)
    return;
  socklen_t size = sizeof what->cookie;
  getsockopt(fd, SOL_SOCKET, SO_COOKIE, &what->cookie, &size);
  size = sizeof what->local;
  getsockname(fd, &what->local.any, &size);
  size = sizeof what->remote;
  if (what->remote.any.sa_family == AF_UNSPEC)
    getpeername(fd, &what->remote.any, &size);
}

void ask_last(int fd, talk *what) {
  struct tcp_info info = {0};
  socklen_t size = sizeof info;
  if (!quiet && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
    what->again = info.tcpi_bytes_retrans;
}

static int endpoint(char *text, int size, const address *where) {
  char ip[INET6_ADDRSTRLEN] = "";
  int is_v4 = where->any.sa_family == AF_INET;
  inet_ntop(where->any.sa_family, is_v4 ? (void *)&where->v4.sin_addr : (void *)&where->v6.sin6_addr, ip, sizeof ip);
  return snprintf(text, size, "[\"%s\",%u]", ip, ntohs(is_v4 ? where->v4.sin_port : where->v6.sin6_port));
}

void tell(const talk *what) {
  if (quiet)
    return;
  char text[512], local[80], remote[80];
  endpoint(local, sizeof local, &what->local);
  endpoint(remote, sizeof remote, &what->remote);
  line(text, snprintf(text, sizeof text,
                      "{\"end\":\"%s\",\"transport\":\"%s\",\"pid\":%d,\"start\":%.3f,\"cookie\":%llu,\"local\":%s,"
                      "\"remote\":%s,\"sent\":%llu,\"received\":%llu,\"again\":%llu,\"outcome\":\"%s\"}\n",
                      what->end, what->transport, getpid(), born, (unsigned long long)what->cookie, local, remote,
                      (unsigned long long)what->sent, (unsigned long long)what->received, (unsigned long long)what->again, what->outcome));
}

int file_of(uint64_t size) {
  int fd = must(memfd_create("payload", MFD_CLOEXEC), "memfd_create");
  for (uint64_t done = 0; done < size;)
    done += must(write(fd, block, size - done < BLOCK ? size - done : BLOCK), "write(memfd)");
  return fd;
}

void await(int fd, short events) {
  struct pollfd one = {.fd = fd, .events = events};
  if (must(poll(&one, 1, 20000), "poll") == 0) {
    errno = ETIMEDOUT;
    die("poll");
  }
}

static const struct {
  const char *name;
  int (*main)(int, char **);
} GENERATORS[] = {
    {"tcp", stream_main}, {"serve", serve_main}, {"udp", datagram_main},
    {"raw", raw_main},    {"uring", uring_main}, {"processes", processes_main},
};

int main(int count, char **arguments) {
  words = arguments;
  quiet = getenv("LOAD_QUIET") != NULL;
  signal(SIGPIPE, SIG_IGN);
  memset(block, 'x', sizeof block);
  reborn();
  for (size_t i = 0; count > 1 && i < sizeof GENERATORS / sizeof *GENERATORS; i++)
    if (!strcmp(arguments[1], GENERATORS[i].name)) {
      int code = GENERATORS[i].main(count - 1, arguments + 1);
      flush();
      return code;
    }
  fprintf(stderr, "usage: load tcp|serve|udp|raw|uring|processes …\n");
  return 2;
}
