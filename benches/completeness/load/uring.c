/* TCP and UDP through io_uring, by its bare system calls; half of the requests are done by the kernel's workers.
 *
 *   uring tcp IP PORT UP DOWN
 *   uring udp IP PORT COUNT SIZE     the last datagram is sent back
 */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
  int fd;
  unsigned *submit_tail, *submit_mask, *submit_array, *done_head, *done_tail, *done_mask;
  struct io_uring_sqe *entries;
  struct io_uring_cqe *results;
  unsigned turn;
} ring;

static void *map(size_t size, off_t offset) {
  void *found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, offset);
  if (found == MAP_FAILED)
    die("mmap(io_uring)");
  return found;
}

static void set_up(void) {
  struct io_uring_params with = {0};
  ring.fd = must(syscall(SYS_io_uring_setup, 8, &with), "io_uring_setup");
  char *submit = map(with.sq_off.array + with.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
  char *done = map(with.cq_off.cqes + with.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
  ring.entries = map(with.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
  ring.submit_tail = (unsigned *)(submit + with.sq_off.tail);
  ring.submit_mask = (unsigned *)(submit + with.sq_off.ring_mask);
  ring.submit_array = (unsigned *)(submit + with.sq_off.array);
  ring.done_head = (unsigned *)(done + with.cq_off.head);
  ring.done_tail = (unsigned *)(done + with.cq_off.tail);
  ring.done_mask = (unsigned *)(done + with.cq_off.ring_mask);
  ring.results = (struct io_uring_cqe *)(done + with.cq_off.cqes);
}

/* Does one thing and waits for it. */
static long perform(int operation, int fd, const void *data, uint32_t size, uint64_t offset, const char *call) {
  unsigned tail = *ring.submit_tail, index = tail & *ring.submit_mask;
  ring.entries[index] = (struct io_uring_sqe){.opcode = operation, .fd = fd, .addr = (uintptr_t)data, .len = size};
  ring.entries[index].off = offset;
  ring.entries[index].flags = ring.turn++ % 2 ? IOSQE_ASYNC : 0;
  ring.submit_array[index] = index;
  __atomic_store_n(ring.submit_tail, tail + 1, __ATOMIC_RELEASE);
  must(syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), "io_uring_enter");
  unsigned head = *ring.done_head;
  while (head == __atomic_load_n(ring.done_tail, __ATOMIC_ACQUIRE))
    must(syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0), "io_uring_enter");
  long result = ring.results[head & *ring.done_mask].res;
  __atomic_store_n(ring.done_head, head + 1, __ATOMIC_RELEASE);
  if (result < 0) {
    errno = -result;
    die(call);
  }
  return result;
}

static uint64_t put(int fd, const void *data, uint32_t size) {
  return perform(IORING_OP_SEND, fd, data, size, 0, "io_uring SEND");
}

static uint64_t get(int fd) {
  static unsigned char into[BLOCK];
  return perform(IORING_OP_RECV, fd, into, sizeof into, 0, "io_uring RECV");
}

int uring_main(int count, char **arguments) {
  if (count < 6)
    return 2;
  int is_tcp = !strcmp(arguments[1], "tcp");
  address to = at(arguments[2], arguments[3]);
  uint64_t first = number(arguments[4]), second = number(arguments[5]);
  talk what = {.end = "client", .transport = is_tcp ? "tcp" : "udp", .outcome = "finished"};
  set_up();
  int fd = must(socket(to.any.sa_family, (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0), "socket");
  perform(IORING_OP_CONNECT, fd, &to, 0, length(&to), "io_uring CONNECT");
  if (is_tcp) {
    wish head = {first, second};
    memcpy(block, &head, sizeof head);
    what.sent = put(fd, block, sizeof head);
    while (what.sent < first)
      what.sent += put(fd, block, first - what.sent < BLOCK ? first - what.sent : BLOCK);
    while (what.received < second)
      what.received += get(fd);
  } else {
    while (--first)
      what.sent += put(fd, block, second);
    *(request *)block = (request){.letter = 'E'};
    what.sent += put(fd, block, second);
    what.received += get(fd);
  }
  ask(fd, &what);
  if (is_tcp) {
    shutdown(fd, SHUT_WR);
    get(fd);
    ask_last(fd, &what);
  }
  close(fd);
  tell(&what);
  return 0;
}
