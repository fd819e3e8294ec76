/* reserve: keeps two supervisors on one host from choosing the same number. An abstract socket name stands for the number as long as it is
 * wanted: a port is free while the program that listens on it is restarted. Floor F3, supervisor only; nothing waits. Another program may
 * bind these names too: then the search goes on with the next number. */
#ifndef HOST_KERNEL_RESERVE_H
#define HOST_KERNEL_RESERVE_H

/* Returns a descriptor, which holds the reservation until the caller closes it; -EADDRINUSE: somebody has it; or another -errno. */
int reserve(const char *what, int number);

#endif
