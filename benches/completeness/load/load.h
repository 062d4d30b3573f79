/* What the generators share: addresses, failing aloud, and telling what was done.
 *
 * Every generator prints JSON lines: one for each conversation it had (see `tell`), so that what a watcher says can be
 * compared with what really happened. Everything is bounded: in number by its arguments, in time by an alarm. */
#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} address;

/* One conversation as one process saw it. */
typedef struct {
  const char *end;       /* "client" or "server" */
  const char *transport; /* as the watcher calls it */
  address local, remote;
  uint64_t cookie;         /* the socket's; 0 where it was not asked for */
  uint64_t sent, received; /* payload bytes */
  uint64_t again;          /* of these, sent more than once by TCP: only the peer's packet counters know them */
  const char *outcome;     /* as the watcher calls it */
} talk;

/* What a client of a `serve tcp` says first: what it will send, this header included, and what it wants. */
typedef struct {
  uint64_t up, down;
} wish;
#define ECHO UINT64_MAX /* as `down`: send back everything that follows */

/* What a client of a `serve udp` says first: a letter and, for 'D', how many datagrams of which size it wants.
 * 'E' is sent back as it is. Everything else is swallowed. */
typedef struct {
  char letter;
  uint32_t count, size;
} __attribute__((packed)) request;

/* Nobody compares what was done: do not ask for cookies and names, tell nothing (LOAD_QUIET). */
extern int quiet;
/* The words this program was started with. */
extern char **words;

/* Ends the program: "system call: reason" becomes the line that a skipped scenario prints. */
void die(const char *call) __attribute__((noreturn));
/* Gives back what is not negative, or ends the program. */
long must(long result, const char *call);
/* The number in a word. */
uint64_t number(const char *word);
/* An address, of either family. */
address at(const char *ip, const char *port);
socklen_t length(const address *where);
/* Asks a socket for its cookie and both names. */
void ask(int fd, talk *what);
/* Asks a TCP socket, just before it is closed, what it had to send again. */
void ask_last(int fd, talk *what);
/* Prints a conversation, when the program ends at the latest. */
void tell(const talk *what);
void flush(void);
/* In a fresh child: nothing to tell yet, ends with its parent. */
void reborn(void);
/* CLOCK_MONOTONIC in seconds. */
double now(void);
/* Some memory with something in it. */
#define BLOCK (256 << 10)
extern unsigned char block[BLOCK];
/* The payload that is sent from a file, of this size. */
int file_of(uint64_t size);
/* Waits until a socket can do this, or ends the program. */
void await(int fd, short events);

/* Exchanges `up` and `down` bytes over a connected TCP socket. How the bytes get in and out: */
enum how { PLAIN, SENDFILE, SPLICE };
void exchange(int fd, talk *what, uint64_t up, uint64_t down, enum how how);
int tcp_socket(const address *to, int protocol);
void small(const address *to, uint64_t up, uint64_t down);
/* Serves one accepted connection until its client ends it. */
void serve_connection(int fd);
int listen_at(const address *where, int protocol);
/* Servers say that they are ready, and end when their standard input ends. */
void ready(void);
int serve_tcp(const address *where, int protocol);
int serve_udp(const address *where);

int stream_main(int count, char **words);
int serve_main(int count, char **words);
int datagram_main(int count, char **words);
int raw_main(int count, char **words);
int uring_main(int count, char **words);
int processes_main(int count, char **words);

#endif
