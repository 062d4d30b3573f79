/* What these programs know of the kernel: its types, as far as they are read, and the helpers it offers.
 *
 * The structures name only the members that are used. `preserve_access_index` makes the compiler note each access, and
 * the loader puts in the true offsets of the running kernel from its BTF (CO-RE): so there is no vmlinux.h, no kernel
 * header, and one object for all kernels. A member that a kernel may lack is asked for with `EXISTS` first. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed int s32;
typedef signed long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define UNUSED __attribute__((unused))
#define EXISTS(member) __builtin_preserve_field_info(member, 2)
#define FIELD_OFFSET(member) __builtin_preserve_field_info(member, 0)
#define FIELD_SIZE(member) __builtin_preserve_field_info(member, 1)
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Reads one member through a pointer that the verifier does not vouch for. What cannot be read is zero. */
#define READ(into, member) \
    do { \
        if (bpf_probe_read_kernel(&(into), sizeof(into), &(member))) \
            __builtin_memset(&(into), 0, sizeof(into)); \
    } while (0)

/* Declaring maps: the loader reads these types, and never runs them. */
#define MAP_INTEGER(name, value) int(*name)[value]
#define MAP_TYPE(name, type) typeof(type) *name

enum map_type { MAP_HASH = 1, MAP_ARRAY = 2, MAP_PERCPU_ARRAY = 6, MAP_RINGBUF = 27 };
enum map_flag { MAP_NO_PREALLOC = 1 };
enum update_flag { UPDATE_ANY = 0, UPDATE_NOEXIST = 1, UPDATE_EXIST = 2 };
enum ring_flag { RING_NO_WAKEUP = 1, RING_FORCE_WAKEUP = 2 };
enum ring_query { RING_AVAILABLE = 0 };

/* Helpers, by their numbers in the kernel's stable interface (linux/bpf.h). */
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_skb_load_bytes)(const void *packet, u32 offset, void *into, u32 length) = (void *)26;
static u64 (*bpf_get_socket_cookie)(void *socket) = (void *)46;
static u64 (*bpf_get_current_cgroup_id)(void) = (void *)80;
static void *(*bpf_sk_fullsock)(void *socket) = (void *)95;
static long (*bpf_probe_read_user)(void *into, u32 length, const void *from) = (void *)112;
static long (*bpf_probe_read_kernel)(void *into, u32 length, const void *from) = (void *)113;
static long (*bpf_probe_read_user_str)(void *into, u32 length, const void *from) = (void *)114;
static long (*bpf_probe_read_kernel_str)(void *into, u32 length, const void *from) = (void *)115;
static u64 (*bpf_ktime_get_boot_ns)(void) = (void *)125;
static long (*bpf_seq_write)(void *file, const void *data, u32 length) = (void *)127;
static long (*bpf_ringbuf_output)(void *ring, void *record, u64 size, u64 flags) = (void *)130;
static void *(*bpf_ringbuf_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *record, u64 flags) = (void *)132;
static void (*bpf_ringbuf_discard)(void *record, u64 flags) = (void *)133;
static u64 (*bpf_ringbuf_query)(void *ring, u64 flags) = (void *)134;
static void *(*bpf_skc_to_tcp_sock)(void *socket) = (void *)137;
static void *(*bpf_get_current_task_btf)(void) = (void *)158;
static u64 (*bpf_ktime_get_coarse_ns)(void) = (void *)160;
static void *(*bpf_sock_from_file)(void *file) = (void *)162;
static long (*bpf_for_each_map_elem)(void *map, void *callback, void *context, u64 flags) = (void *)164;
static long (*bpf_loop)(u32 rounds, void *callback, void *context, u64 flags) = (void *)181;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
    union {
        u32 u6_addr32[4];
    } in6_u;
};
struct ns_common {
    u32 inum;
};
struct net {
    struct ns_common ns;
};
struct pid_namespace {
    struct ns_common ns;
};
struct upid {
    int nr;
    struct pid_namespace *ns;
};
struct pid {
    u32 level;
    struct upid numbers[1];
};
typedef struct {
    struct net *net;
} possible_net_t;
typedef struct {
    u32 val;
} kuid_t;
typedef struct {
    s64 counter;
} atomic64_t;

struct kernfs_node {
    struct kernfs_node *__parent;
    const char *name;
    u64 id;
};
struct kernfs_node___before_6_15 {
    struct kernfs_node *parent;
};
struct cgroup {
    struct kernfs_node *kn;
};
struct sock_cgroup_data {
    struct cgroup *cgroup;
};

struct qstr {
    const unsigned char *name;
};
struct hlist_bl_node {
    struct hlist_bl_node **pprev;
};
struct dentry {
    struct hlist_bl_node d_hash;
    struct dentry *d_parent;
    struct qstr d_name;
};
struct vfsmount {
    struct dentry *mnt_root;
};
struct path {
    struct vfsmount *mnt;
    struct dentry *dentry;
};
struct file {
    void *private_data;
    struct inode *f_inode;
    struct path f_path;
};
struct socket {
    struct sock *sk;
    struct file *file;
};
struct sock_common {
    union {
        struct {
            u32 skc_daddr;
            u32 skc_rcv_saddr;
        };
    };
    union {
        struct {
            u16 skc_dport;
            u16 skc_num;
        };
    };
    u16 skc_family;
    u8 skc_state;
    possible_net_t skc_net;
    struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
    atomic64_t skc_cookie;
    unsigned long skc_flags;
};
struct sock {
    struct sock_common __sk_common;
    struct socket *sk_socket;
    int sk_err;
    kuid_t sk_uid;
    u16 sk_protocol, sk_type;
    struct sock_cgroup_data sk_cgrp_data;
};
struct inet_sock {
    u16 inet_sport;
};
struct inet_connection_sock {
    struct inet_sock icsk_inet;
    void *icsk_ulp_data;
};
struct tcp_sock {
    struct inet_connection_sock inet_conn;
    u64 bytes_received, bytes_sent, bytes_retrans;
    u32 segs_in, segs_out, srtt_us, total_retrans;
    _Bool is_mptcp;
};
struct mptcp_sock {
    struct sock *first;
};
struct mptcp_subflow_context {
    struct sock *conn;
};
struct net_device {
    int ifindex;
    u16 type;
};
struct sk_buff {
    u32 len;
    u16 network_header;
    u16 protocol;
    unsigned char *data;
    struct net_device *dev;
    struct sock *sk;
};

struct task_struct {
    s32 pid, tgid;
    u32 flags;
    int exit_code;
    struct task_struct *group_leader, *real_parent;
    struct pid *thread_pid;
    u64 start_boottime;
    char comm[16];
    struct mm_struct *mm;
    const struct cred *cred;
    struct fs_struct *fs;
    struct files_struct *files;
    struct nsproxy *nsproxy;
    struct signal_struct *signal;
    struct css_set *cgroups;
};

struct bpf_iter_meta {
    struct seq_file *seq;
};
struct bpf_iter__task_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    u32 fd;
    struct file *file;
};

#pragma clang attribute pop

/* Contexts whose layout is stable, without CO-RE. */
struct bpf_sock {
    u32 bound_dev_if, family, type, protocol, mark, priority, src_ip4, src_ip6[4], src_port;
    u16 dst_port, : 16;
    u32 dst_ip4, dst_ip6[4], state;
    s32 rx_queue_mapping;
};
struct __sk_buff {
    u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex;
    u32 ifindex, tc_index, cb[5], hash, tc_classid, data, data_end, napi_id, family, remote_ip4, local_ip4;
    u32 remote_ip6[4], local_ip6[4], remote_port, local_port, data_meta;
    union {
        void *flow_keys;
        u64 : 64;
    };
    u64 tstamp;
    u32 wire_len, gso_segs;
    union {
        struct bpf_sock *sk;
        u64 : 64;
    };
    u32 gso_size;
};
