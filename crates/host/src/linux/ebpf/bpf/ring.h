/* The ring through which everything is told, and the count of what could not be.
 *
 * Nobody is woken for a record: that costs more than all else here. User space looks several times a second, and is
 * woken only above a high water mark. When the reader falls behind, what can be told later is held back first (half
 * full), then ends of conversations (seven eighths): the rest of the ring is for processes that start and end. */
#pragma once
#include "kernel.h"

/* What a record is: its first four bytes. Sockets take 1 to 15, processes 16 to 31. */
enum kind {
    KIND_ALIVE = 1,   /* a conversation that lives: new, or changed */
    KIND_CLOSED = 2,  /* a conversation that ended */
    KIND_LISTEN = 3,  /* a socket that waits for others */
    KIND_DEAF = 4,    /* a socket that waited for others, and does no longer */
    KINDS = 32,
};

/* Tables that can be full. */
enum table { TABLE_STREAMS, TABLE_SOCKETS, TABLE_PEERS, TABLES = 8 };

struct {
    MAP_INTEGER(type, MAP_RINGBUF);
    MAP_INTEGER(max_entries, 1 << 23);
} ring SEC(".maps");

/* Another for complete lists, which user space asks for and waits for: they must not depend on how busy the first is. */
struct {
    MAP_INTEGER(type, MAP_RINGBUF);
    MAP_INTEGER(max_entries, 1 << 20);
} list SEC(".maps");

/* What was lost since the programs were loaded, on each processor. */
struct losses {
    u64 records[KINDS]; /* by kind: there was no room in the ring */
    u64 entries[TABLES]; /* by table: there was no room for another entry */
};
struct {
    MAP_INTEGER(type, MAP_PERCPU_ARRAY);
    MAP_INTEGER(max_entries, 1);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct losses);
} losses SEC(".maps");

/* Bytes queued above which the reader is woken, above which what can wait is not told, and above which only processes
 * are. The loader sets them by the size of the ring. */
const volatile u32 high_water = 1 << 20;
const volatile u32 half_full = 1 << 22;
const volatile u32 nearly_full = 7 << 20;

INLINE void lose_record(u32 kind) {
    u32 key = 0;
    struct losses *lost = bpf_map_lookup_elem(&losses, &key);
    if (lost)
        lost->records[kind & (KINDS - 1)] += 1;
}

INLINE void lose_entry(u32 table) {
    u32 key = 0;
    struct losses *lost = bpf_map_lookup_elem(&losses, &key);
    if (lost)
        lost->entries[table & (TABLES - 1)] += 1;
}

INLINE int ring_is_half_full(void) {
    return bpf_ringbuf_query(&ring, RING_AVAILABLE) > half_full;
}

/* A record of `size` bytes (a constant) whose kind is filled in, or null, which has been counted. */
INLINE void *ring_reserve(u32 kind, u64 size) {
    void *record = bpf_ringbuf_reserve(&ring, size, 0);
    if (UNLIKELY(!record)) {
        lose_record(kind);
        return 0;
    }
    *(u32 *)record = kind;
    return record;
}

/* The same for ends of conversations, which leave some room to processes. */
INLINE void *ring_reserve_for_end(u32 kind, u64 size) {
    if (UNLIKELY(bpf_ringbuf_query(&ring, RING_AVAILABLE) > nearly_full)) {
        lose_record(kind);
        return 0;
    }
    return ring_reserve(kind, size);
}

/* The reader is woken as the queue grows past each multiple of the high water mark, by a few records: two that submit
 * at once must not both take the other for the one that crossed it. Waking it for every record above would cost each of
 * them more than all else here, just when there is most to do. */
#define CROSSING 1024

INLINE u64 ring_wake(u64 size) {
    u64 queued = bpf_ringbuf_query(&ring, RING_AVAILABLE);
    int is_urgent = UNLIKELY(queued >= high_water) && (queued & (high_water - 1)) < CROSSING + size;
    return is_urgent ? RING_FORCE_WAKEUP : RING_NO_WAKEUP;
}

INLINE void ring_submit(void *record) {
    bpf_ringbuf_submit(record, ring_wake(0));
}

/* Tells a record that lies elsewhere, of a size that is known only now. */
INLINE void ring_output(u32 kind, void *record, u64 size) {
    if (UNLIKELY(bpf_ringbuf_output(&ring, record, size, ring_wake(size))))
        lose_record(kind);
}
