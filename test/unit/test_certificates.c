/* Certificates of instances: each fault is distinguished, and the generated certificate is renewed in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/xrdp_config/cert.h"
#include "host/xrdp_config/instance_cert.h"
#include "host/kernel/fs.h"
#include "host/reasons.h"
#include "lucid/clock.h"
#include "net/cert_check.h"
#include "test/lib/tls_rig.h"

#define DAY INT64_C(86400000)

static char dir[64], own_cert[96], own_key[96];

static enum cert_fault of(const char *cert, const char *key, int64_t now_ms)
{
	struct cert_state s = { 0 };
	cert_check(cert, cert ? strlen(cert) : 0, key, key ? strlen(key) : 0, now_ms, &s);
	return s.fault;
}

static char *encrypted(EVP_PKEY *k, bool traditional)
{
	BIO *b = BIO_new(BIO_s_mem());
	unsigned char pass[] = "secret";
	int rc = traditional ? PEM_write_bio_PrivateKey_traditional(b, k, EVP_aes_128_cbc(), pass, 6, NULL, NULL) :
			       PEM_write_bio_PKCS8PrivateKey(b, k, EVP_aes_128_cbc(), (char *)pass, 6, NULL, NULL);
	assert_int_equal(rc, 1);
	return rig_pem(b);
}

static void each_fault_is_distinguished(UNUSED void **state)
{
	struct rig_cert a = rig_cert_new("a", NULL, false), b = rig_cert_new("b", NULL, false);
	struct rig_cert odd = rig_cert_on("secp256k1", "odd", NULL, false), large = rig_cert_on("P-521", "large", NULL, false);
	_cleanup_(xfreep) char *half_cert = xstrndup(a.cert, strlen(a.cert) / 2), *half_key = xstrndup(a.key, strlen(a.key) / 2);
	_cleanup_(xfreep) char *chain = xasprintf("%s%s", a.cert, half_cert), *both = xasprintf("%s%s", a.key, a.cert);
	_cleanup_(xfreep) char *locked = encrypted(a.k, false), *locked_old = encrypted(a.k, true);
	int64_t now = clock_wall_ms();
	const struct {
		const char *cert, *key;
		int64_t at;
		enum cert_fault fault;
		const char *name;
	} rows[] = {
		{ a.cert, a.key, now, CERT_GOOD, "" },
		{ both, both, now, CERT_GOOD, "" },
		{ large.cert, large.key, now, CERT_GOOD, "" },
		{ odd.cert, odd.key, now, CERT_UNUSABLE, "certificate_unusable" }, /* a curve that no client offers */
		{ NULL, a.key, now, CERT_UNREADABLE, "certificate_unreadable" },
		{ a.cert, NULL, now, KEY_UNREADABLE, "key_unreadable" },
		{ "", a.key, now, CERT_EMPTY, "certificate_empty" },
		{ a.cert, "", now, KEY_EMPTY, "key_empty" },
		{ "0\x82\x01\x05", a.key, now, CERT_DER, "certificate_not_pem" },
		{ a.cert, "0\x82\x01\x05", now, KEY_DER, "key_not_pem" },
		{ "not a certificate", a.key, now, CERT_NO_PEM, "certificate_not_pem" },
		{ a.key, a.key, now, CERT_NO_PEM, "certificate_not_pem" },
		{ a.cert, a.cert, now, KEY_NO_PEM, "key_not_pem" },
		{ half_cert, a.key, now, CERT_CUT, "certificate_damaged" },
		{ a.cert, half_key, now, KEY_CUT, "key_damaged" },
		{ chain, a.key, now, CERT_CHAIN, "certificate_damaged" },
		{ a.cert, locked, now, KEY_ENCRYPTED, "key_encrypted" },
		{ a.cert, locked_old, now, KEY_ENCRYPTED, "key_encrypted" },
		{ a.cert, b.key, now, KEY_OTHER, "key_mismatch" },
		{ a.cert, b.key, now + 2 * DAY, KEY_OTHER, "key_mismatch" },
		{ a.cert, a.key, now + 2 * DAY, CERT_EXPIRED, "certificate_expired" },
		{ a.cert, a.key, now - DAY, CERT_NOT_YET, "certificate_not_yet_valid" },
	};
	for (size_t n = 0; n < ARRAY_LEN(rows); n++) {
		assert_int_equal(of(rows[n].cert, rows[n].key, rows[n].at), rows[n].fault);
		assert_string_equal(cert_fault_name(rows[n].fault), rows[n].name);
	}
	rig_cert_free(&a);
	rig_cert_free(&b);
	rig_cert_free(&odd);
	rig_cert_free(&large);
}

static void files_that_cannot_be_read(UNUSED void **state)
{
	struct cert_state s;
	char text[200];
	cert_check_files("/nonexistent/cert.pem", own_key, clock_wall_ms(), &s);
	assert_int_equal(s.fault, CERT_UNREADABLE);
	cert_fault_text(&s, text, sizeof text);
	assert_string_equal(text, "the certificate cannot be read: No such file or directory");
	cert_check_files(dir, own_key, clock_wall_ms(), &s);
	cert_fault_text(&s, text, sizeof text);
	assert_string_equal(text, "the certificate cannot be read: Is a directory");
	assert_int_equal(cert_make(own_cert, own_key, "open", 30, 0), 0);
	cert_check_files(own_cert, own_key, clock_wall_ms(), &s);
	assert_int_equal(s.fault, CERT_GOOD);
	assert_false(s.key_open);
	chmod(own_key, 0644);
	cert_check_files(own_cert, own_key, clock_wall_ms(), &s);
	assert_true(s.key_open);
}

static struct cert_state ensured(void)
{
	struct cert_state s;
	assert_int_equal(cert_ensure(own_cert, own_key, "node", 0), 0);
	cert_check_files(own_cert, own_key, cert_now_ms(), &s);
	assert_int_equal(s.fault, CERT_GOOD);
	return s;
}

/* A valid one is kept; a damaged, expired, not yet valid or nearly expired one is replaced by one with the same name and length. */
static void generated_certificate_is_renewed(UNUSED void **state)
{
	assert_int_equal(cert_make(own_cert, own_key, "desk", 90, 0), 0);
	struct cert_state first = ensured(), now = ensured();
	assert_string_equal(first.fingerprint, now.fingerprint);
	clock_shift_ms(50 * DAY);
	now = ensured();
	assert_string_equal(first.fingerprint, now.fingerprint);
	clock_shift_ms(15 * DAY); /* 25 days before its end */
	now = ensured();
	assert_string_not_equal(first.fingerprint, now.fingerprint);
	assert_string_equal(now.name, "desk");
	assert_in_range((now.not_after_ms - now.not_before_ms) / DAY, 90, 91);
	first = now;
	clock_shift_ms(400 * DAY);
	now = ensured(); /* it has expired */
	assert_string_not_equal(first.fingerprint, now.fingerprint);
	first = now;
	clock_shift_ms(-465 * DAY);
	now = ensured(); /* it was not valid yet */
	assert_string_not_equal(first.fingerprint, now.fingerprint);
	assert_int_equal(fs_write(own_key, "damaged", 0600, 0), 0);
	first = now;
	now = ensured();
	assert_string_not_equal(first.fingerprint, now.fingerprint);
}

/* A board whose clock starts in 1970 generates a certificate that is still valid when the clock is set, and keeps an existing one: clients that
 * remember it need not ask the user twice at each boot. */
static void wrong_clock_is_not_believed(UNUSED void **state)
{
	int64_t back = clock_wall_ms() - 1000;
	struct cert_state kept = ensured(), now;
	clock_shift_ms(-back);
	assert_int_equal(cert_now_ms(), CERT_CLOCK_MIN_MS);
	unlink(own_cert);
	unlink(own_key);
	now = ensured();
	assert_string_not_equal(now.fingerprint, kept.fingerprint);
	clock_shift_ms(back);
	kept = now;
	now = ensured();
	assert_string_equal(now.fingerprint, kept.fingerprint);
	assert_true(now.not_before_ms <= clock_wall_ms() && clock_wall_ms() < now.not_after_ms);
}

/* Two that make the pair at the same time left the key of one with the certificate of the other. */
static void before_the_first_start_one_waits_for_the_other(UNUSED void **state)
{
	_cleanup_(xfreep) char *data = xasprintf("%s/data", dir), *locked = xasprintf("%s/xrdp", data);
	struct host h = { .set = { .data_dir = data } };
	int lock = instance_cert_lock(&h);
	assert_true(lock >= 0);
	int other = open(locked, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(other >= 0);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	close(lock);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
	close(other);
}

static void reasons_pass_through_a_job(UNUSED void **state)
{
	struct reason a = { 0 }, b;
	int fds[2];
	char text[800] = "";
	struct host h = { .set = { .data_dir = "/data", .log_dir = "/logs", .runtime_dir = "/run/x", .xrdp_config = "/etc/xrdp" } };
	reason_of_path(&h, "/data/xrdp/servers/x/etc/xrdp.ini", ENOSPC, &a);
	assert_string_equal(a.word, "disk_full");
	assert_string_equal(a.told, "the disk that holds DATA_DIR is full; free some space or inodes there");
	assert_string_equal(a.line, "/data/xrdp/servers/x/etc/xrdp.ini: No space left on device");
	assert_int_equal(pipe(fds), 0);
	reason_print(&a, fds[1]);
	assert_true(read(fds[0], text, sizeof text - 1) > 0);
	close(fds[0]);
	close(fds[1]);
	assert_true(reason_parse(text, &b));
	assert_string_equal(a.word, b.word);
	assert_string_equal(a.told, b.told);
	assert_string_equal(a.line, b.line);
	assert_false(reason_parse("half", &b));
	reason_of_path(&h, "/logs", EROFS, &a);
	assert_string_equal(a.word, "read_only_file_system");
	assert_non_null(strstr(a.told, "LOG_DIR"));
	reason_of_path(&h, "/database", EACCES, &a);
	assert_string_equal(a.word, "files_unwritable");
	assert_null(strstr(a.told, "DATA_DIR"));
	assert_ptr_equal(reason_word("key_mismatch", NULL), cert_fault_name(KEY_OTHER));
	assert_null(reason_word("unknown", NULL));
	assert_true(reason_heals("disk_full") && reason_heals("certificate_expired") && !reason_heals("port_in_use"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_is_distinguished),
		cmocka_unit_test(files_that_cannot_be_read),
		cmocka_unit_test(generated_certificate_is_renewed),
		cmocka_unit_test(wrong_clock_is_not_believed),
		cmocka_unit_test(before_the_first_start_one_waits_for_the_other),
		cmocka_unit_test(reasons_pass_through_a_job),
	};
	snprintf(dir, sizeof dir, "/tmp/lrdp-certificates-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(own_cert, sizeof own_cert, "%s/cert.pem", dir);
	snprintf(own_key, sizeof own_key, "%s/key.pem", dir);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	fs_remove_tree(dir);
	return rc;
}
