/*
 * source_file: what a file held when it was opened, as a source. Floor F1, loop thread. A piece is read when it is wanted, on the
 * loop: files of this host's own disk, whose next 64 KiB the kernel reads ahead. Not for: files on a network.
 */
#ifndef SYS_SOURCE_FILE_H
#define SYS_SOURCE_FILE_H

#include "lucid/source.h"

/* Takes the descriptor over; it gives as many bytes from the file's beginning as the file has now. What is added meanwhile is
 * left out; one that is cut shorter meanwhile breaks off. */
struct source *source_file_new(struct loop *l, int fd);

#endif
