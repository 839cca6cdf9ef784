/* Answers the questions of test_images.py, one per line of standard input, fields separated by
 * tabs:
 *
 *   decode FILE OUT                  the pixels
 *   resize FILE WIDTH HEIGHT OUT     the pixels, resized
 *   pixels FILE PREPROCESSING OUT    the pixels, resized and cropped
 *   tensor FILE PREPROCESSING OUT    the float32 tensor
 *
 * OUT gets a line "HEIGHT WIDTH CHANNELS" and the raw values. Each question is answered by a line:
 * "ok", or "error: " and the message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/image.h"
#include "io/preprocess.h"
#include "io/resize.h"

static psal_status save(const char *path, int height, int width, int channels, const void *values, size_t value_size,
                        psal_error *err) {
    FILE *file = fopen(path, "wb");
    if (!file) return psal_fail(err, PSAL_ERR_IO, "%s: cannot be written", path);
    size_t count = (size_t)height * (size_t)width * (size_t)channels;
    fprintf(file, "%d %d %d\n", height, width, channels);
    size_t written = fwrite(values, value_size, count, file);
    if (fclose(file) || written != count) return psal_fail(err, PSAL_ERR_IO, "%s: write failed", path);
    return PSAL_OK;
}

static psal_status save_image(const char *path, const psal_image *image, psal_error *err) {
    return save(path, image->height, image->width, 3, image->rgb, 1, err);
}

static psal_status dump_resized(const psal_image *image, char **field, psal_error *err) {
    psal_image resized = PSAL_IMAGE_INIT;
    psal_status status = psal_resize(image, atoi(field[2]), atoi(field[3]), &resized, err);
    if (!status) status = save_image(field[4], &resized, err);
    psal_image_free(&resized);
    return status;
}

static psal_status dump_preprocessed(const psal_image *image, char **field, psal_error *err) {
    psal_preprocess options;
    int height, width;
    psal_status status = psal_preprocess_parse(field[2], &options, err);
    if (status) return status;
    if (strcmp(field[0], "pixels") == 0) {
        psal_image pixels = PSAL_IMAGE_INIT;
        status = psal_preprocess_pixels(&options, image, &pixels, err);
        if (!status) status = save_image(field[3], &pixels, err);
        psal_image_free(&pixels);
        return status;
    }
    status = psal_preprocess_size(&options, image->width, image->height, &height, &width, err);
    if (status) return status;
    int channels = psal_preprocess_channels(&options);
    size_t count = (size_t)channels * (size_t)height * (size_t)width;
    float *tensor = malloc(count * sizeof *tensor);
    if (!tensor) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    status = psal_preprocess_image(&options, image, tensor, err);
    if (!status) status = save(field[3], height, width, channels, tensor, sizeof *tensor, err);
    free(tensor);
    return status;
}

static psal_status answer(char **field, int count, psal_error *err) {
    psal_image image = PSAL_IMAGE_INIT;
    psal_status status;
    if (count < 3) return psal_fail(err, PSAL_ERR_ARGUMENT, "too few fields");
    status = psal_image_load(field[1], 0, &image, err);
    if (status) return status;
    if (strcmp(field[0], "decode") == 0 && count == 3)
        status = save_image(field[2], &image, err);
    else if (strcmp(field[0], "resize") == 0 && count == 5)
        status = dump_resized(&image, field, err);
    else if ((strcmp(field[0], "pixels") == 0 || strcmp(field[0], "tensor") == 0) && count == 4)
        status = dump_preprocessed(&image, field, err);
    else
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "unknown question");
    psal_image_free(&image);
    return status;
}

int main(void) {
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        char *field[6], *rest = line;
        int count = 0;
        while (count < 6 && (field[count] = strsep(&rest, "\t"))) count++;
        psal_error err = PSAL_ERROR_INIT;
        if (answer(field, count, &err))
            printf("error: %s\n", err.message);
        else
            puts("ok");
        fflush(stdout);
    }
    free(line);
    return 0;
}
