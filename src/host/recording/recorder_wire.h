/*
 * recorder_wire: what the supervisor and the program of a recording (src/recorder) exchange. Floor F3; constants only.
 *
 * The control socket, descriptor RECORDER_CONTROL of the program, is a SOCK_SEQPACKET pair. Each packet is a JSON object with one member,
 * whose name says what it is:
 *
 *   to the recorder     start (with the descriptors of X socket and directory), display (with that of an X socket), pause, resume, quality, stop
 *   to the supervisor   recording, figures, chunk, lost, full, failed, ended
 *
 * The recorder ends when its socket is closed.
 */
#ifndef HOST_RECORDING_RECORDER_WIRE_H
#define HOST_RECORDING_RECORDER_WIRE_H

#define RECORDER_FILE "lucid-rdp-recorder"
#define RECORDER_PACKET_MAX 65536
enum { RECORDER_CONTROL = 3, RECORDER_PROGRAM = 4 };

#define RECORDER_COOKIE 16
#define RECORDER_KEY_TEXT 44  /* 32 bytes in base64 */
#define RECORDER_HASH_TEXT 64 /* SHA-256 in hex */

#endif
