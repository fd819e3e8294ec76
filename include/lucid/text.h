/*
 * text: which Unicode characters names and descriptions may contain. Floor F0, any thread, pure. Strings are well-formed UTF-8
 * (str_utf8). Not for: control characters (str_has_control), which are refused everywhere.
 */
#ifndef LUCID_TEXT_H
#define LUCID_TEXT_H

#include "lucid/base.h"

enum text_kind {
	TEXT_NAME,  /* one line that identifies something: no invisible characters, direction changes or noncharacters */
	TEXT_PROSE, /* descriptions: the same, but joiners and selectors, which scripts and emoji need, are allowed */
};
/* The first code point that is not allowed, or 0. */
uint32_t text_unfit(const char *s, enum text_kind kind);

/* Whether s begins or ends with a blank character of any kind. */
bool text_blank_ends(const char *s);

/* The subject of a token, a user_id: not empty, no control or unfit character, no blank at its ends. */
bool text_is_subject(const char *s);

#endif
