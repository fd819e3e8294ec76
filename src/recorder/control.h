/*
 * control: the socket between the supervisor and a recorder. Floor F5, in the recorder; one thread; sending never blocks.
 *
 * The recorder is started with the socket (AF_UNIX, SOCK_SEQPACKET) as descriptor CONTROL_FD and nothing else: no argument, no environment.
 * Each packet is one JSON object with one member, which names the message. Key and cookie come in `start` only.
 *
 * supervisor → recorder
 *   start    {recording_id, key, cookie, codec, level, cipher, quality, frame_rate, chunk_seconds, max_mb_per_min, max_records, first_seq,
 *            prev_hash, start_us, gap_from_us} with two descriptors: a connected socket of the X server, the recording's directory.
 *            key: base64 of 32 bytes; cookie, prev_hash: hex. codec none|lz4|zstd; level 0: the default; cipher none|aes-256-gcm|
 *            chacha20-poly1305, absent: the faster one here; quality high|medium|low; max_mb_per_min 0: no bound. max_records, first_seq,
 *            prev_hash, gap_from_us are optional. Times in µs of CLOCK_MONOTONIC.
 *   display  {cookie} with one descriptor, a new socket of the X server; the answer to `lost`
 *   pause, resume, stop  {}
 *   quality  "high"|"medium"|"low": the best that is used from now on
 * recorder → supervisor
 *   recording {width, height, at_us}  a picture is in the writer: the first, and the first after a resume, a loss, a change of size
 *   figures   each second while something happened, and each FIGURES_MS; this is the heartbeat. Figures of the stages recording, compression,
 *             encryption, storage as {items, bytes_in, bytes_out, ns_sum, ns_max, errors, last_us}, counted since the start, and state,
 *             quality, level (of compression), captures, late, waiting_ms (since when the X server owes an answer), cpu_us, chunk_bytes
 *             (of the open chunk), next_seq
 *   chunk     an index entry as record_entry_doc describes it
 *   lost      {reason}  the X server refused or closed the connection; recording continues after `display`
 *   full      {errno, reason}  writing failed; nothing is recorded until `resume`
 *   ended     {chunks, head}  after `stop`; the recorder exits with 0
 *   failed    {reason}  it cannot record, and exits with 1
 *
 * When the supervisor closes the socket, the recorder closes its chunk and exits. If the supervisor does not read, messages are dropped:
 * figures are cumulative, and chunks are in the index.
 */
#ifndef RECORDER_CONTROL_H
#define RECORDER_CONTROL_H

#include "lucid/doc.h"

#define CONTROL_FD 3
#define CONTROL_PACKET_MAX 65536
#define CONTROL_FDS_MAX 2
#define FIGURES_MS 4000 /* the supervisor expects a sign of life every 5 s */

enum control_result { CONTROL_MESSAGE, CONTROL_NOTHING, CONTROL_CLOSED };
/* Reads one packet. With CONTROL_MESSAGE *ret is its object, which the caller frees with doc_unref_secret, and fds has CONTROL_FDS_MAX
 * descriptors, which are the caller's; -1: none. A packet that is not of this form counts as CONTROL_CLOSED: the supervisor sends none. */
enum control_result control_receive(int fd, json_t **ret, int fds[CONTROL_FDS_MAX]);
/* Sends {name: body}. */
void control_send(int fd, const char *name, json_t *consume_body);

/* The only member of a message: its name (borrowed) and value. */
const char *control_name(json_t *message, json_t **ret_body);

#endif
