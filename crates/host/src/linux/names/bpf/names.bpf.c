/*
 * Which names do programs ask the system's resolver for, and what are they told?
 *
 * Each function of libc is watched at its entry, where its arguments are, and at its return, where the answer is. In
 * between the two calls wait in a table by thread. What is read here was written by the program itself, which may be
 * hostile: nothing is believed but what the kernel knows of it, and every walk is bounded.
 */
#include "../../ebpf/bpf/kernel.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
/* The registers at entry and return; which of the two layouts is there shows by its members. */
struct pt_regs___x86 {
    unsigned long di, si, dx, cx, r8, r9, ax;
};
struct user_pt_regs {
    u64 regs[31];
};
struct pt_regs___arm {
    struct user_pt_regs user_regs;
};
#pragma clang attribute pop

/* Two loads that the compiler must not make one of: the kernel allows only fixed places in the registers. */
#define REGISTER(context, x86, place) \
    ({ \
        u64 value; \
        if (EXISTS(((struct pt_regs___x86 *)(context))->x86)) { \
            value = ((struct pt_regs___x86 *)(context))->x86; \
            asm volatile("# x86" : "+r"(value)); \
        } else { \
            value = ((struct pt_regs___arm *)(context))->user_regs.regs[place]; \
            asm volatile("# arm" : "+r"(value)); \
        } \
        value; \
    })

/* As libc lays them out for 64 bits. */
struct addrinfo {
    int flags, family, kind, protocol;
    u32 length, pad;
    u64 address, canonical_name, next;
};
struct hostent {
    u64 name, aliases;
    int kind, length;
    u64 list;
};

enum { FAMILY_4 = 2, FAMILY_6 = 10 };
enum { ADDRESSES = 16, NAME = 256 };
/* getaddrinfo names each address once for each kind of socket: kept is the first. */
enum { MOST_RESULTS = 3 * ADDRESSES };

/* As the sockets have it: the kind of address, its port, then the address in the order of the network. */
struct address {
    u16 family, port;
    u32 four; /* for IPv6, the flow */
    u64 six[2];
};

/* What user space reads; `names/record.rs` has the same. */
struct record {
    u64 time; /* nanoseconds since boot */
    u64 start; /* of the process, likewise */
    u32 process;
    u32 count;
    struct address addresses[ADDRESSES];
    char name[NAME]; /* ends with a zero */
};

/* A call under way. */
struct call {
    u64 name, result;
};
enum { GETADDRINFO = 0, GETHOSTBYNAME = 1 };

struct {
    MAP_INTEGER(type, 9 /* LRU hash */);
    MAP_INTEGER(max_entries, 4096);
    MAP_TYPE(key, u64);
    MAP_TYPE(value, struct call);
} calls SEC(".maps");

struct {
    MAP_INTEGER(type, MAP_RINGBUF);
    MAP_INTEGER(max_entries, 256 << 10);
} ring SEC(".maps");

/* How many answers were lost: the ring was full, or too many calls were under way. */
struct {
    MAP_INTEGER(type, MAP_ARRAY);
    MAP_INTEGER(max_entries, 1);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, u64);
} lost SEC(".maps");

INLINE void count_lost(void)
{
    u32 place = 0;
    u64 *count = bpf_map_lookup_elem(&lost, &place);
    if (count)
        __sync_fetch_and_add(count, 1);
}

/* One function may call the other: each has its own place. */
INLINE u64 key_of(u64 function)
{
    struct task_struct *task = bpf_get_current_task_btf();
    return (u32)task->pid | function << 32;
}

INLINE int enter(u64 function, u64 name, u64 result)
{
    u64 key = key_of(function);
    struct call call = { name, result };
    bpf_map_update_elem(&calls, &key, &call, 0);
    return 0;
}

/* The call that returns now. Without a name (a service was asked for) there is nothing to tell. */
INLINE int leave(u64 function, struct call *call)
{
    u64 key = key_of(function);
    struct call *entered = bpf_map_lookup_elem(&calls, &key);
    if (!entered) {
        count_lost();
        return 0;
    }
    *call = *entered;
    bpf_map_delete_elem(&calls, &key);
    return call->name && call->result;
}

/* Who asks for an address by its digits is given what he gave: there is nothing to tell. */
INLINE int is_address(u64 name)
{
    char text[17];
    long length = bpf_probe_read_user_str(text, sizeof(text), (void *)name);
    int is_number = length > 1 && length < (long)sizeof(text);
    for (int i = 0; i < 16 && i + 1 < length; i++) {
        if (text[i] == ':')
            return 1; /* no name has one */
        if (text[i] != '.' && (text[i] < '0' || text[i] > '9'))
            is_number = 0;
    }
    return is_number;
}

INLINE struct record *begin(struct call *call)
{
    if (is_address(call->name))
        return 0;
    struct record *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
    if (!record) {
        count_lost();
        return 0;
    }
    if (bpf_probe_read_user_str(record->name, NAME, (void *)call->name) < 2) {
        bpf_ringbuf_discard(record, RING_NO_WAKEUP);
        return 0;
    }
    struct task_struct *task = bpf_get_current_task_btf();
    record->time = bpf_ktime_get_boot_ns();
    record->start = task->group_leader->start_boottime;
    record->process = task->tgid;
    record->count = 0;
    return record;
}

INLINE void end(struct record *record)
{
    /* User space looks now and then by itself; it is woken only where that might be too late. */
    u64 wake = bpf_ringbuf_query(&ring, RING_AVAILABLE) > (128 << 10) ? RING_FORCE_WAKEUP : RING_NO_WAKEUP;
    if (record->count)
        bpf_ringbuf_submit(record, wake);
    else
        bpf_ringbuf_discard(record, RING_NO_WAKEUP);
}

SEC("uprobe") int getaddrinfo_enter(void *context)
{
    /* (name, service, hints, &result) */
    return enter(GETADDRINFO, REGISTER(context, di, 0), REGISTER(context, cx, 3));
}

SEC("uretprobe") int getaddrinfo_leave(void *context)
{
    struct call call;
    u64 at = 0;
    if (!leave(GETADDRINFO, &call) || (u32)REGISTER(context, ax, 0) != 0)
        return 0;
    if (bpf_probe_read_user(&at, sizeof(at), (void *)call.result) || !at)
        return 0;
    struct record *record = begin(&call);
    if (!record)
        return 0;
    int kind = 0;
    for (int i = 0; i < MOST_RESULTS; i++) {
        struct addrinfo info;
        u32 count = record->count;
        if (count >= ADDRESSES || !at || bpf_probe_read_user(&info, sizeof(info), (void *)at))
            break;
        at = info.next;
        if (i == 0)
            kind = info.kind;
        /* An address of IPv4 is shorter; libc keeps more memory behind it than is read too much here. */
        if (info.kind == kind &&
            !bpf_probe_read_user(&record->addresses[count], sizeof(struct address), (void *)info.address))
            record->count = count + 1;
    }
    end(record);
    return 0;
}

SEC("uprobe") int gethostbyname_enter(void *context)
{
    /* (name, answer, buffer, length, &result, &error) */
    return enter(GETHOSTBYNAME, REGISTER(context, di, 0), REGISTER(context, r8, 4));
}

SEC("uprobe") int gethostbyname2_enter(void *context)
{
    /* (name, family, answer, buffer, length, &result, &error) */
    return enter(GETHOSTBYNAME, REGISTER(context, di, 0), REGISTER(context, r9, 5));
}

SEC("uretprobe") int gethostbyname_leave(void *context)
{
    struct call call;
    struct hostent host;
    u64 at = 0;
    if (!leave(GETHOSTBYNAME, &call) || (u32)REGISTER(context, ax, 0) != 0)
        return 0;
    if (bpf_probe_read_user(&at, sizeof(at), (void *)call.result) || !at)
        return 0;
    if (bpf_probe_read_user(&host, sizeof(host), (void *)at))
        return 0;
    if (host.kind != FAMILY_4 && host.kind != FAMILY_6)
        return 0;
    struct record *record = begin(&call);
    if (!record)
        return 0;
    for (int i = 0; i < ADDRESSES; i++) {
        struct address *to = &record->addresses[i];
        u64 from = 0;
        if (bpf_probe_read_user(&from, sizeof(from), (void *)(host.list + 8 * i)) || !from)
            break;
        to->family = host.kind;
        if (host.kind == FAMILY_4)
            bpf_probe_read_user(&to->four, sizeof(to->four), (void *)from);
        else
            bpf_probe_read_user(to->six, sizeof(to->six), (void *)from);
        record->count = i + 1;
    }
    end(record);
    return 0;
}
