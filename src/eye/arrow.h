/* arrow: an image of a cursor, for one that the X server does not show. Floor F3, pure. */
#ifndef EYE_ARROW_H
#define EYE_ARROW_H

#include "lucid/base.h"

#define ARROW_WIDTH 12
#define ARROW_HEIGHT 19

uint8_t *arrow_pixels(void); /* B G R A, hot spot 0, 0; the caller frees */

#endif
