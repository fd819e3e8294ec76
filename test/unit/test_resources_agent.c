/* What the agent reads from the kernel for figures: sensors, network, pressure, control groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/kernel/pressure.h"
#include "host/kernel/sensors.h"
#include "lucid/str.h"

static char dir[] = "/tmp/lrdp-sensors-XXXXXX";

/* Writes DIR/path, with the directories above it. */
static void put(const char *path, const char *text)
{
	char full[512];
	snprintf(full, sizeof full, "%s/%s", dir, path);
	for (char *p = full + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
	FILE *f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int fresh_dir(UNUSED void **state)
{
	str_copy(dir + strlen(dir) - 6, 7, "XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(UNUSED void **state)
{
	char cmd[600];
	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	return system(cmd);
}

static void test_host_without_sensors_knows_nothing(UNUSED void **state)
{
	struct sensors s;
	int64_t in, out;
	sensors_read(dir, &s);
	assert_false(s.has_temperature);
	assert_int_equal(s.throttled, -1);
	assert_int_equal(s.throttle_events, -1);
	assert_false(sensors_network(dir, dir, &in, &out));
}

static void test_hottest_zone_is_reported(UNUSED void **state)
{
	struct sensors s;
	put("class/thermal/thermal_zone0/temp", "48312\n");
	put("class/thermal/thermal_zone1/temp", "N/A\n"); /* a disabled zone does not end the search */
	put("class/thermal/thermal_zone2/temp", "71000\n");
	sensors_read(dir, &s);
	assert_true(s.has_temperature);
	assert_true(s.celsius > 70.9 && s.celsius < 71.1);
}

static void test_raspberry_shows_throttling_now_not_in_the_past(UNUSED void **state)
{
	struct sensors s;
	put("devices/platform/soc/soc:firmware/get_throttled", "e0000\n");
	sensors_read(dir, &s);
	assert_int_equal(s.throttled, 0);
	put("devices/platform/soc/soc:firmware/get_throttled", "50004\n");
	sensors_read(dir, &s);
	assert_int_equal(s.throttled, 1);
}

static void test_throttle_counters_of_cores_are_summed(UNUSED void **state)
{
	struct sensors s;
	put("devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "3\n");
	put("devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "4\n");
	sensors_read(dir, &s);
	assert_int_equal(s.throttle_events, 7);
	assert_int_equal(s.throttled, -1);
}

#define LINE(name, in, out) "  " name ": " in " 1 0 0 0 0 0 0 " out " 2 0 0 0 0 0 0\n"

static void test_network_counts_physical_interfaces_once(UNUSED void **state)
{
	int64_t in, out;
	put("net/dev", "Inter-|   Receive\n face |bytes\n" LINE("lo", "900", "900") LINE("veth1", "20", "30") LINE("eth0", "5000", "7000"));
	assert_true(sensors_network(dir, dir, &in, &out));
	assert_int_equal(in, 5020); /* a container: every interface but lo */
	assert_int_equal(out, 7030);
	put("class/net/eth0/device", "");
	assert_true(sensors_network(dir, dir, &in, &out));
	assert_int_equal(in, 5000);
	assert_int_equal(out, 7000);
}

static void test_pressure_is_the_share_of_ten_seconds(UNUSED void **state)
{
	char path[512];
	put("cpu.pressure", "some avg10=12.34 avg60=1.00 avg300=0.10 total=1\nfull avg10=99.00 avg60=0 avg300=0 total=0\n");
	put("bad.pressure", "some avg10= avg60=1\n");
	snprintf(path, sizeof path, "%s/cpu.pressure", dir);
	double pct = pressure_read(path);
	assert_true(pct > 12.33 && pct < 12.35);
	snprintf(path, sizeof path, "%s/bad.pressure", dir);
	assert_true(pressure_read(path) < 0);
	snprintf(path, sizeof path, "%s/no.pressure", dir);
	assert_true(pressure_read(path) < 0);
}

#define FRESH(fn) cmocka_unit_test_setup_teardown(fn, fresh_dir, remove_dir)
int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(test_host_without_sensors_knows_nothing),
		FRESH(test_hottest_zone_is_reported),
		FRESH(test_raspberry_shows_throttling_now_not_in_the_past),
		FRESH(test_throttle_counters_of_cores_are_summed),
		FRESH(test_network_counts_physical_interfaces_once),
		FRESH(test_pressure_is_the_share_of_ten_seconds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
