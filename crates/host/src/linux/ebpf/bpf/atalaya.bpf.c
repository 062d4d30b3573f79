/* Every conversation of the host and who holds it, told by the kernel itself.
 *
 * The kernel keeps the state; user space is told what it needs. `./build` makes `atalaya.bpf.o` of this file. */
#include "kernel.h"
#include "ring.h"
#include "prime.h"
#include "processes.h"
#include "use.h"

char LICENSE[] SEC("license") = "GPL";
