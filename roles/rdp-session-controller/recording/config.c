#include "roles/rdp-session-controller/recording/config.h"

#include "lucid/str.h"

#define SIDE_MIN 64
#define SIDE_MAX 16384
#define CHUNK_SECONDS 30

static const char *const sources[] = { "x11", NULL };
static const char *const qualities[] = { "high", "medium", "low", NULL };
static const char *const compressions[] = { "zstd", "lz4", "none", NULL };
static const char *const losses[] = { "alert", "terminate_session", NULL };
static const char *const fulls[] = { "pause", "terminate_session", NULL };

/* A member that is one of some words. setting: the name of its default, or the default itself if that is one of the words. */
static const struct {
	const char *name;
	const char *const *values;
	const char *setting, *allowed;
} words[] = {
	{ "source", sources, "x11", "must be x11; a recording over RDP is not available" },
	{ "quality", qualities, "DEFAULT_QUALITY", "must be high, medium or low" },
	{ "compression", compressions, "DEFAULT_COMPRESSION", "must be zstd, lz4 or none" },
	{ "on_loss", losses, "alert", "must be alert or terminate_session" },
	{ "on_full", fulls, "pause", "must be pause or terminate_session" },
};
static const struct {
	const char *name;
	int64_t min, max;
	const char *setting; /* NULL: without a default */
	int64_t otherwise;
} numbers[] = {
	{ "frame_rate", 1, 60, "DEFAULT_FRAME_RATE", 0 },
	{ "chunk_seconds", 5, 60, NULL, CHUNK_SECONDS },
	{ "max_mb_per_min", 1, 100000, NULL, 0 },
};

static bool is_word(const char *const *values, const char *s)
{
	for (; s && *values; values++)
		if (str_eq(*values, s))
			return true;
	return false;
}

static void take_words(const struct config *settings, const json_t *wanted, json_t *out, struct faults *f)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const char *given = doc_str(wanted, words[i].name, NULL);
		const char *otherwise = is_word(words[i].values, words[i].setting) ? words[i].setting : config_str(settings, words[i].setting);
		if (given && !is_word(words[i].values, given))
			faults_add(f, words[i].name, "%s", words[i].allowed);
		doc_set_str(out, words[i].name, given ? given : otherwise);
	}
}

static void take_numbers(const struct config *settings, const json_t *wanted, json_t *out, struct faults *f)
{
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		int64_t otherwise = numbers[i].setting ? config_int(settings, numbers[i].setting) : numbers[i].otherwise;
		int64_t n = doc_int(wanted, numbers[i].name, otherwise);
		if (json_is_integer(json_object_get(wanted, numbers[i].name)) && (n < numbers[i].min || n > numbers[i].max))
			faults_add(f, numbers[i].name, "must be %lld to %lld", (long long)numbers[i].min, (long long)numbers[i].max);
		if (n)
			doc_set_int(out, numbers[i].name, n);
		else
			doc_set(out, numbers[i].name, NULL);
	}
}

static bool is_resolution(const char *s)
{
	char width[8], height[8];
	const char *x = strchr(s, 'x');
	int64_t n;
	if (!x || x - s >= (int)sizeof width || !str_copy(height, sizeof height, x + 1))
		return false;
	memcpy(width, s, (size_t)(x - s));
	width[x - s] = 0;
	return str_int(width, SIDE_MIN, SIDE_MAX, &n) && str_int(height, SIDE_MIN, SIDE_MAX, &n);
}

json_t *recording_config(const struct config *settings, const json_t *session, const json_t *asked, struct faults *f)
{
	_cleanup_(doc_unrefp) json_t *wanted = json_copy(json_object_get(session, "recording_config"));
	if (!json_is_object(wanted)) {
		json_decref(wanted);
		wanted = json_object();
	}
	if (asked)
		json_object_update(wanted, (json_t *)(uintptr_t)asked);
	json_t *out = json_object();
	take_words(settings, wanted, out, f);
	take_numbers(settings, wanted, out, f);
	const char *resolution = doc_str(wanted, "resolution", NULL);
	if (resolution && !is_resolution(resolution))
		faults_add(f, "resolution", "must be WIDTHxHEIGHT with sides of %d to %d, such as 1920x1080", SIDE_MIN, SIDE_MAX);
	doc_set_str(out, "resolution", resolution ? resolution : config_str(settings, "DEFAULT_RESOLUTION"));
	if (asked && !doc_bool(asked, "enabled", true))
		faults_add(f, "enabled", "must not be false in a request that starts a recording");
	if (doc_bool(wanted, "takeover", false))
		faults_add(f, "takeover", "is for the source rdp, which is not available; omit it");
	return out;
}

json_t *recording_storage(const struct config *settings, const json_t *session)
{
	const json_t *wanted = json_object_get(session, "storage_config");
	json_t *out = json_object();
	int64_t bytes = doc_int(wanted, "max_bytes", 0);
	doc_set_int(out, "retention_days", doc_int(wanted, "retention_days", config_int(settings, "RECORDING_RETENTION_DAYS")));
	doc_set(out, "max_bytes", bytes ? json_integer(bytes) : NULL);
	doc_set_bool(out, "hold", doc_bool(wanted, "hold", false));
	return out;
}

bool recording_configured(const json_t *session)
{
	return doc_bool(json_object_get(session, "recording_config"), "enabled", false);
}
