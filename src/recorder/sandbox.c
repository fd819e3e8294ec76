#include "recorder/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define NICE 10

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define ARCH AUDIT_ARCH_ARM
#elif defined(__i386__)
#define ARCH AUDIT_ARCH_I386
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#else
#error "add the AUDIT_ARCH of this architecture"
#endif

bool sandbox_begin(void)
{
	const struct rlimit none = { 0, 0 }, memory = { SANDBOX_MEMORY, SANDBOX_MEMORY };
	errno = 0;
	if (getpriority(PRIO_PROCESS, 0) < NICE && setpriority(PRIO_PROCESS, 0, NICE) < 0)
		return false;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && setrlimit(RLIMIT_CORE, &none) == 0 &&
	       setrlimit(RLIMIT_AS, &memory) == 0;
}

/* What the main loop, libxcb, the writer and the C library use. Without socket and connect: connections come from the supervisor. */
static const int allowed[] = {
	__NR_read, __NR_write, __NR_readv, __NR_writev, __NR_pread64, __NR_pwrite64, __NR_close, __NR_lseek, __NR_recvmsg, __NR_sendmsg,
	__NR_recvfrom, __NR_sendto, __NR_shutdown, __NR_getsockopt, __NR_setsockopt, __NR_getsockname, __NR_getpeername, __NR_ppoll,
	__NR_openat, __NR_fstat, __NR_statx, __NR_fsync, __NR_fdatasync, __NR_ftruncate, __NR_fallocate, __NR_flock, __NR_fcntl,
	__NR_unlinkat, __NR_getdents64, __NR_memfd_create, __NR_mmap, __NR_munmap, __NR_mremap, __NR_mprotect, __NR_madvise, __NR_brk,
	__NR_clock_gettime, __NR_clock_nanosleep, __NR_nanosleep, __NR_gettimeofday, __NR_setitimer, __NR_getrandom, __NR_futex, __NR_getpid,
	__NR_gettid, __NR_tgkill, __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigreturn, __NR_restart_syscall, __NR_sched_yield,
	__NR_exit, __NR_exit_group, __NR_dup, __NR_uname,
#ifdef __NR_newfstatat
	__NR_newfstatat,
#endif
#ifdef __NR_poll
	__NR_poll,
#endif
#ifdef __NR_open
	__NR_open,
#endif
#ifdef __NR_renameat
	__NR_renameat,
#endif
#ifdef __NR_renameat2
	__NR_renameat2,
#endif
#ifdef __NR_mmap2
	__NR_mmap2, __NR_fcntl64, __NR_fstat64, __NR_fstatat64, __NR__llseek, __NR_ftruncate64, __NR_clock_gettime64, __NR_ppoll_time64,
	__NR_futex_time64, __NR_sigreturn,
#endif
#ifdef __NR_rseq
	__NR_rseq,
#endif
};

#define STATEMENT(code, k) ((struct sock_filter)BPF_STMT(code, k))
#define JUMP(code, k, yes, no) ((struct sock_filter)BPF_JUMP(code, k, yes, no))

bool sandbox_close(void)
{
	struct sock_filter f[2 * ARRAY_LEN(allowed) + 8];
	size_t n = 0;
	f[n++] = STATEMENT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	f[n++] = JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	f[n++] = STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS); /* calls of another architecture have other numbers */
	f[n++] = STATEMENT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t k = 0; k < ARRAY_LEN(allowed); k++) {
		f[n++] = JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)allowed[k], 0, 1);
		f[n++] = STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	f[n++] = STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	const struct sock_fprog program = { (unsigned short)n, f };
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}
