#include "lucid/map.h"

#include <sys/random.h>

#include "lucid/list.h"

struct entry {
	struct entry *next; /* in the slot's chain */
	struct list order;
	uint64_t hash;
	void *value;
	char key[];
};

struct map {
	struct entry **slots;
	size_t nslots, count, max;
	struct list order; /* insertion order: iteration is the same in every run, whatever the seed */
};

static uint64_t seed[2];

static inline uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

#define SIPROUND                                                                                                       \
	do {                                                                                                           \
		v0 += v1, v1 = rotl(v1, 13) ^ v0, v0 = rotl(v0, 32);                                                   \
		v2 += v3, v3 = rotl(v3, 16) ^ v2;                                                                      \
		v0 += v3, v3 = rotl(v3, 21) ^ v0;                                                                      \
		v2 += v1, v1 = rotl(v1, 17) ^ v2, v2 = rotl(v2, 32);                                                   \
	} while (0)

/* SipHash-1-3 (Aumasson, Bernstein). */
uint64_t map_hash(const void *data, size_t n)
{
	if (!seed[0] && getrandom(seed, sizeof seed, 0) != sizeof seed)
		seed[0] = (uintptr_t)&seed | 1;
	const unsigned char *p = data;
	uint64_t v0 = seed[0] ^ 0x736f6d6570736575ULL, v1 = seed[1] ^ 0x646f72616e646f6dULL;
	uint64_t v2 = seed[0] ^ 0x6c7967656e657261ULL, v3 = seed[1] ^ 0x7465646279746573ULL;
	size_t left = n;
	for (; left >= 8; left -= 8, p += 8) {
		uint64_t m;
		memcpy(&m, p, 8);
		v3 ^= m;
		SIPROUND;
		v0 ^= m;
	}
	uint64_t last = (uint64_t)n << 56;
	for (size_t i = 0; i < left; i++)
		last |= (uint64_t)p[i] << (8 * i);
	v3 ^= last;
	SIPROUND;
	v0 ^= last;
	v2 ^= 0xff;
	SIPROUND;
	SIPROUND;
	SIPROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

struct map *map_new(size_t max)
{
	struct map *m = XNEW(struct map);
	m->nslots = 16;
	m->slots = xcalloc(m->nslots, sizeof *m->slots);
	m->max = max;
	list_init(&m->order);
	return m;
}

void map_free(struct map *m, void (*free_value)(void *))
{
	if (!m)
		return;
	for (size_t i = 0; i < m->nslots; i++)
		for (struct entry *e = m->slots[i], *next; e; e = next) {
			next = e->next;
			if (free_value)
				free_value(e->value);
			free(e);
		}
	free(m->slots);
	free(m);
}

static struct entry **find_slot(const struct map *m, const char *key, uint64_t hash)
{
	struct entry **e = &m->slots[hash & (m->nslots - 1)];
	while (*e && ((*e)->hash != hash || strcmp((*e)->key, key) != 0))
		e = &(*e)->next;
	return e;
}

void *map_get(const struct map *m, const char *key)
{
	struct entry *e = *find_slot(m, key, map_hash(key, strlen(key)));
	return e ? e->value : NULL;
}

static void grow(struct map *m)
{
	size_t n = m->nslots * 2;
	struct entry **slots = xcalloc(n, sizeof *slots);
	for (size_t i = 0; i < m->nslots; i++)
		for (struct entry *e = m->slots[i], *next; e; e = next) {
			next = e->next;
			e->next = slots[e->hash & (n - 1)];
			slots[e->hash & (n - 1)] = e;
		}
	free(m->slots);
	m->slots = slots;
	m->nslots = n;
}

bool map_put(struct map *m, const char *key, void *value, void **ret_old)
{
	size_t len = strlen(key);
	uint64_t hash = map_hash(key, len);
	struct entry **at = find_slot(m, key, hash);
	if (*at) {
		if (ret_old)
			*ret_old = (*at)->value;
		(*at)->value = value;
		return true;
	}
	if (m->count >= m->max)
		return false;
	struct entry *e = xmalloc(sizeof *e + len + 1);
	*e = (struct entry){ .hash = hash, .value = value };
	memcpy(e->key, key, len + 1);
	*at = e;
	list_append(&m->order, &e->order);
	if (ret_old)
		*ret_old = NULL;
	if (++m->count > m->nslots)
		grow(m);
	return true;
}

void *map_remove(struct map *m, const char *key)
{
	struct entry **at = find_slot(m, key, map_hash(key, strlen(key)));
	struct entry *e = *at;
	if (!e)
		return NULL;
	void *value = e->value;
	*at = e->next;
	list_remove(&e->order);
	free(e);
	m->count--;
	return value;
}

size_t map_count(const struct map *m)
{
	return m->count;
}

bool map_next(const struct map *m, struct map_pos *pos, const char **ret_key, void **ret_value)
{
	const struct list *n = pos->next ? pos->next : m->order.next;
	if (n == &m->order)
		return false;
	struct entry *e = CONTAINER_OF(n, struct entry, order);
	pos->next = n->next;
	if (ret_key)
		*ret_key = e->key;
	if (ret_value)
		*ret_value = e->value;
	return true;
}
