// installed.c's sister in C++: what the headers have of macros, and a value through the library.
#include <psal.h>

int main() {
    psal_error err = PSAL_ERROR_INIT;
    psal_notes notes = PSAL_NOTES_INIT;
    psal_image image = PSAL_IMAGE_INIT;
    if (psal_image_load("/dev/null", 0, &image, &err) == PSAL_OK || !*err.message) return 1;
    psal_notes_free(&notes);
    const psal_shape shape = PSAL_SHAPE(2, 3, 5);
    return shape.ndim == 3 && psal_shape_count(&shape) == 30 ? 0 : 1;
}
