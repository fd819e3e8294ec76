#include "eye/arrow.h"

/* '#': black, '.': white, ' ': transparent */
static const char rows[ARROW_HEIGHT][ARROW_WIDTH + 1] = {
	"#           ", "##          ", "#.#         ", "#..#        ", "#...#       ", "#....#      ", "#.....#     ",
	"#......#    ", "#.......#   ", "#........#  ", "#.........# ", "#......#####", "#...#..#    ", "#..##..#    ",
	"#.#  #..#   ", "##   #..#   ", "#     #..#  ", "      #..#  ", "       ##   ",
};

uint8_t *arrow_pixels(void)
{
	uint32_t *pixels = xcalloc(ARROW_WIDTH * ARROW_HEIGHT, sizeof *pixels);
	for (size_t y = 0; y < ARROW_HEIGHT; y++)
		for (size_t x = 0; x < ARROW_WIDTH; x++)
			pixels[y * ARROW_WIDTH + x] = rows[y][x] == '#' ? 0xff000000 : rows[y][x] == '.' ? 0xffffffff : 0;
	return (uint8_t *)pixels;
}
