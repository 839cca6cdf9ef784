/* A program of somebody who installed psal: test_install.sh compiles it with what pkg-config says. It profiles an image
 * with the network whose file is named, and prints how many filters answer. */
#include <psal.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    psal_error err = PSAL_ERROR_INIT;
    if (argc < 2) return 2;
    psal_tensor_map *checkpoint = psal_checkpoint_read(argv[1], NULL, &err);
    psal_model *model = checkpoint ? psal_model_load(checkpoint, NULL, NULL, &err) : NULL;
    const psal_saliency_options options = {.height = 32, .width = 32};
    psal_saliency *saliency = model ? psal_saliency_new(model, &options, &err) : NULL;
    psal_saliency_worker *worker = saliency ? psal_saliency_worker_new(saliency, &err) : NULL;
    if (!worker) return fprintf(stderr, "%s\n", err.message), 1;

    float *image = calloc(3 * 32 * 32, sizeof *image);
    for (int i = 0; image && i < 3 * 32 * 32; i++) image[i] = (float)(i % 7) - 3;
    int64_t length = psal_saliency_length(saliency), live = 0;
    float *profile = calloc((size_t)length, sizeof *profile);
    if (!image || !profile) return 1;
    if (psal_saliency_profile(worker, image, 3, 0, profile, &err) != PSAL_OK)
        return fprintf(stderr, "%s\n", err.message), 1;
    for (int64_t k = 0; k < length; k++) live += profile[k] > 0;
    printf("%s: %lld of %d filters\n", psal_model_get_info(model)->arch, (long long)live,
           psal_model_get_info(model)->filter_count);
    free(profile);
    free(image);
    psal_saliency_worker_free(worker);
    psal_saliency_free(saliency);
    psal_model_free(model);
    psal_tensor_map_free(checkpoint);
    return live > length / 2 ? 0 : 1;
}
