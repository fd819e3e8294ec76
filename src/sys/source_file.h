/*
 * source_file: the content that a file has when it is opened, from the offset of its descriptor on, as a source. Floor F1, loop thread. Each piece is read on the loop when it
 * is requested; that is acceptable for local files, because the kernel reads ahead. Not for: files on network file systems.
 */
#ifndef SYS_SOURCE_FILE_H
#define SYS_SOURCE_FILE_H

#include "lucid/source.h"

/* Owns the descriptor. The source has as many bytes as the file has now: bytes appended later are not sent; if the file is truncated
 * meanwhile, the source ends with an error. */
struct source *source_file_new(struct loop *l, int fd);

#endif
