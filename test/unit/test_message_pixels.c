/* Pictures of message windows in the pixel formats of X servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include "lucid/base.h"
#include "notice/pixels.h"

static const uint32_t row[] = { 0xffffff, 0xff0000, 0x00ff00, 0x0000ff, 0x123456 };

static void test_24_bit_colours_are_kept(UNUSED void **state)
{
	const struct pixel_format f = { 0xff0000, 0xff00, 0xff, 32, 32, false }, swapped = { 0xff, 0xff00, 0xff0000, 32, 32, true };
	unsigned char out[sizeof row];
	assert_true(pixel_format_ok(&f));
	assert_int_equal(pixel_stride(&f, ARRAY_LEN(row)), sizeof row);
	pixel_row(&f, row, ARRAY_LEN(row), out);
	assert_memory_equal(out + 4, ((unsigned char[]){ 0, 0, 0xff, 0 }), 4);
	assert_memory_equal(out + 16, ((unsigned char[]){ 0x56, 0x34, 0x12, 0 }), 4);
	pixel_row(&swapped, row, ARRAY_LEN(row), out);
	assert_memory_equal(out + 16, ((unsigned char[]){ 0, 0x56, 0x34, 0x12 }), 4);
}

static void test_16_bit_colours_are_scaled_and_rows_padded(UNUSED void **state)
{
	const struct pixel_format f = { 0xf800, 0x07e0, 0x001f, 16, 32, false };
	unsigned char out[12];
	assert_int_equal(pixel_stride(&f, ARRAY_LEN(row)), sizeof out);
	memset(out, 0xee, sizeof out);
	pixel_row(&f, row, ARRAY_LEN(row), out);
	assert_memory_equal(out, ((unsigned char[]){ 0xff, 0xff, 0x00, 0xf8, 0xe0, 0x07, 0x1f, 0x00 }), 8);
	assert_memory_equal(out + 10, ((unsigned char[]){ 0, 0 }), 2); /* the padding */
}

static void test_8_bit_colours_are_scaled(UNUSED void **state)
{
	const struct pixel_format f = { 0x07, 0x38, 0xc0, 8, 8, false };
	unsigned char out[ARRAY_LEN(row)];
	pixel_row(&f, row, ARRAY_LEN(row), out);
	assert_memory_equal(out, ((unsigned char[]){ 0xff, 0x07, 0x38, 0xc0 }), 4);
}

static void test_unusable_formats_are_refused(UNUSED void **state)
{
	static const struct pixel_format bad[] = {
		{ 0xff0000, 0xff00, 0xff, 24, 32, false }, { 0xff0000, 0xff00, 0xff, 16, 32, false }, { 0, 0xff00, 0xff, 32, 32, false },
		{ 0xf0f000, 0xff00, 0xff, 32, 32, false }, { 0xff0000, 0xff00, 0xff, 32, 0, false },
	};
	for (size_t n = 0; n < ARRAY_LEN(bad); n++)
		assert_false(pixel_format_ok(&bad[n]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_24_bit_colours_are_kept), cmocka_unit_test(test_16_bit_colours_are_scaled_and_rows_padded),
		cmocka_unit_test(test_8_bit_colours_are_scaled), cmocka_unit_test(test_unusable_formats_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
