/* figure.h - psal's pictures, drawn with Cairo.
 *
 * Every function takes plain arrays, draws one figure and writes it to `path` as PNG, SVG or PDF according to the
 * ending (.png, .svg, .pdf); the file appears whole or not at all, and the same input gives the same bytes. PNG has two
 * pixels per point, SVG and PDF hold their fonts. Nothing passed in is kept. A figure's record is the iTXt chunk "psal"
 * of a PNG, <metadata> of an SVG, the subject of a PDF; it must be UTF-8.
 *
 * Text may come from anywhere: invalid UTF-8 and control characters are replaced, what is too long
 * is shortened with an ellipsis. Pointers to text may be NULL where a comment says so.
 *
 * Errors, common to all: PSAL_ERR_ARGUMENT for an unknown ending, an empty figure (no filters, no
 * panels, ...) or contradictory sizes; PSAL_ERR_NUMERIC for numbers that cannot be drawn;
 * PSAL_ERR_IO when the file cannot be written; PSAL_ERR_MEMORY. NaN is a gap where a comment says
 * "NaN: ..."; everywhere else NaN, and infinity in every place, is refused with the position named.
 */
#ifndef PSAL_IO_FIGURE_H
#define PSAL_IO_FIGURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The colours of heat maps: jet, as the original's; cividis, even to readers of all kinds of colour vision (Nunez,
 * Anderton and Renslow, PLoS ONE 13, 2018); magma (van der Walt and Smith's, of matplotlib, CC0). The lightness of the
 * last two rises evenly. */
typedef enum psal_colors { PSAL_COLORS_JET, PSAL_COLORS_CIVIDIS, PSAL_COLORS_MAGMA } psal_colors;
const char *psal_colors_name(psal_colors colors);

/* How a figure looks, beside what it shows. Zeroed: jet, and as wide as it likes. */
typedef struct psal_figure_style {
    double width; /* in points, 1/72 inch, PSAL_FIGURE_NARROWEST to _WIDEST: laid out for a paper's column, with type of
                     6.4 to 10 points; a PNG has 300 pixels an inch then. 0: the figure's own */
    psal_colors colors;
} psal_figure_style;
#define PSAL_FIGURE_NARROWEST 141.7 /* 50 mm */
#define PSAL_FIGURE_WIDEST 2835.0   /* 1 m */

/* Find and open the fonts now: some milliseconds that the first figure of a process takes otherwise.
 * For a thread that has nothing else to do; may be called at any time by any thread. */
void psal_figure_prepare_fonts(void);

/* ---- saliency profiles over the filters of a network ---- */

/* Layers in network order; each begins where the one before ended, the first at 0. */
typedef struct psal_figure_layer {
    const char *name;  /* "layer4.1.conv3.weight" */
    int64_t first;     /* number of its first filter */
    int64_t count;     /* its filters, at least 1 */
    const char *group; /* label of the stage it belongs to, "layer4"; NULL: derived from the name
                          (see below) */
} psal_figure_layer;

/* The stage a layer name stands for when the caller names none: the first part of the name after
 * parts that hold the stages ("features.", "encoder.layers."): layer4.1.conv3.weight -> layer4,
 * features.denseblock4.denselayer16.conv2.weight -> denseblock4, features.28.weight -> features.28.
 * With at most 12 layers every layer stands for itself (name without ".weight"). Writes into
 * out[size], always terminated; returns out. */
char *psal_figure_layer_group(const psal_figure_layer *layers, size_t layer_count, size_t index, char *out,
                              size_t size);

typedef struct psal_profile_curve {
    const char *label;   /* legend */
    const float *values; /* [filter_count], finite */
} psal_profile_curve;

typedef struct psal_profile_panel {
    const char *title;   /* above the panel; may be NULL */
    const char *y_label; /* "standardized saliency" */
    bool log_y;          /* logarithmic; values at or below zero lie on the lower edge */
    const psal_profile_curve *profiles;
    size_t profile_count; /* 1 to 7 */
} psal_profile_panel;

/* The paper's filter-saliency profile: filters in network order, inside each layer sorted by
 * saliency, highest first (each profile by its own values), layer boundaries as lines, stages named
 * above. Several panels share the filters: this image; mean of correct and of incorrect samples;
 * mean naive against mean standardized. */
typedef struct psal_profile_figure {
    const char *title, *subtitle; /* may be NULL */
    const char *unit;             /* what is counted: "filters" when NULL; "parameters", "tensors" */
    int64_t filter_count;
    const psal_figure_layer *layers; /* covering all filters */
    size_t layer_count;
    const psal_profile_panel *panels; /* one above the other */
    size_t panel_count;               /* 1 to 6 */
    const int64_t *top;               /* filters to mark on the first profile of the first panel, the most salient
                           first (its first three are named); NULL when top_count is 0 */
    size_t top_count;
    const char *record; /* what it was made with, kept in the file; may be NULL */
    psal_figure_style style;
} psal_profile_figure;

psal_status psal_profile_figure_write(const psal_profile_figure *figure, const char *path, psal_error *err);

/* Saliency by depth: which stages the top filters fall in. Shares of layers of one stage are added
 * up. */
typedef struct psal_depth_figure {
    const char *title, *subtitle; /* may be NULL */
    const char *y_label;          /* "share of the top 10 filters (%)" */
    const psal_figure_layer *layers;
    size_t layer_count;
    const char *const *series; /* legend: one kind of bar each */
    size_t series_count;       /* 1 to 6 */
    const double *share;       /* [series_count][layer_count], per layer, at or above 0; percent or fraction */
    double total;              /* what a whole is (100 or 1): the share each stage would get if filters were
                     drawn by chance is marked on its bars; 0: no marks */
    const char *record;        /* what it was made with, kept in the file; may be NULL */
    psal_figure_style style;
} psal_depth_figure;

psal_status psal_depth_figure_write(const psal_depth_figure *figure, const char *path, psal_error *err);

/* ---- input-space saliency ---- */

/* The picture of an input gradient as the original paints it (Levin et al. 2022, section 3.2 and
 * their published code): grad float32 C×H×W; per pixel |max over channels|; clipped to the 90th and
 * 99th percentile (linear interpolation, as NumPy's); scaled to 0..1; 3×3 Gaussian blur with the
 * kernel [1 2 1]/4 in both directions and the border mirrored without repeating its pixel (OpenCV's
 * GaussianBlur, size 3, sigma 0). out: float32 H×W in 0..1; all zero when both percentiles agree.
 * Refuses NaN and infinity. */
psal_status psal_heatmap(const float *grad, int channels, int height, int width, float *out, psal_error *err);

/* The colour of v in 0..1 on the jet scale, v rounded up to a 255th: piecewise linear, red
 * 1.5−|4v−3|, green 1.5−|4v−2|, blue 1.5−|4v−1|, each clamped to 0..1. NaN gives the colour of 0.
 */
void psal_jet(float v, uint8_t rgb[3]);
/* The same on any of the scales, each of 256 colours. */
void psal_heat_color(psal_colors colors, float v, uint8_t rgb[3]);

/* heat float32 H×W in 0..1 over the photo (8-bit RGB, H×W×3): the sum of the map's colour and photo,
 * divided by its largest value in the picture, as the original does. out: 8-bit RGB, H×W×3; may be
 * `rgb` itself. */
void psal_heatmap_overlay(psal_colors colors, const float *heat, const uint8_t *rgb, int height, int width,
                          uint8_t *out);

typedef struct psal_heatmap_figure {
    const char *title, *subtitle; /* may be NULL */
    const uint8_t *rgb;           /* the photo as the network saw it: H×W×3 */
    const float *grad;            /* C×H×W */
    const float *compared;        /* C×H×W: another gradient, whose map stands in the overlay's place; NULL: none */
    const char *name, *compared_name; /* of the maps; NULL: "input-space saliency" */
    int channels, height, width;
    const char *true_name, *predicted_name;       /* classes; NULL: not shown */
    double true_confidence, predicted_confidence; /* 0..1; NaN: not shown */
    const char *record;                           /* what it was made with, kept in the file; may be NULL */
    psal_figure_style style;
} psal_heatmap_figure;

/* Photo, heat map with its colour bar, and both together (or another heat map, in the same colours), side by side. */
psal_status psal_heatmap_figure_write(const psal_heatmap_figure *figure, const char *path, psal_error *err);
/* The overlay alone, one image pixel per pixel; PNG only. record: as in the figures. */
psal_status psal_heatmap_overlay_write(psal_colors colors, const uint8_t *rgb, const float *grad, int channels,
                                       int height, int width, const char *record, const char *path, psal_error *err);

/* ---- experiments ---- */

typedef enum psal_figure_scale {
    PSAL_SCALE_LINEAR,
    PSAL_SCALE_LOG,     /* x above 0 */
    PSAL_SCALE_CATEGORY /* x by name: drawn as groups of bars */
} psal_figure_scale;

typedef struct psal_curves_panel {
    const char *title;   /* may be NULL */
    const char *y_label; /* may be NULL */
    bool log_y;          /* values at or below zero are gaps */
    const double *mean;  /* [series_count][x_count]; NaN: not measured, a gap */
    const double *error; /* standard error, the same shape; NULL or NaN: none */
} psal_curves_panel;

/* Several quantities over the same x, one panel each, with one legend. */
typedef struct psal_curves_figure {
    const char *title, *subtitle; /* may be NULL */
    const char *x_label;          /* may be NULL */
    psal_figure_scale x_scale;
    const double *x;           /* [x_count], increasing; unused for PSAL_SCALE_CATEGORY */
    const char *const *x_name; /* [x_count], for PSAL_SCALE_CATEGORY only */
    size_t x_count;            /* 1 to 10000 points; at most 100 names */
    const char *const *series; /* [series_count], legend */
    size_t series_count;       /* 1 to 12 */
    const psal_curves_panel *panels;
    size_t panel_count; /* 1 to 24 */
    size_t columns;     /* panels side by side; 0: chosen */
    const char *record; /* what it was made with, kept in the file; may be NULL */
    psal_figure_style style;
} psal_curves_figure;

psal_status psal_curves_figure_write(const psal_curves_figure *figure, const char *path, psal_error *err);

/* What an edit of the network (fine-tuning, pruning) did. */
typedef struct psal_edit_class {
    const char *name;     /* "killer whale (predicted)" */
    double before, after; /* confidence, 0..1 */
} psal_edit_class;

typedef struct psal_edit_count {
    const char *label;   /* "nearest neighbours corrected", "right samples broken" */
    int64_t hits, total; /* 0 <= hits <= total */
    bool harm;           /* hits are bad news: drawn in the other colour */
} psal_edit_count;

typedef struct psal_edit_figure {
    const char *title, *subtitle;   /* may be NULL */
    const psal_edit_class *classes; /* confidences before and after, the first ones on top */
    size_t class_count;             /* 1 to 20 */
    const psal_edit_count *counts;  /* may be NULL when count_count is 0 */
    size_t count_count;             /* at most 20 */
    const char *const *facts;       /* one line each: "25 filters, 0.1 % of the weights"; may be NULL */
    size_t fact_count;              /* at most 12 */
    const char *record;             /* what it was made with, kept in the file; may be NULL */
    psal_figure_style style;
} psal_edit_figure;

psal_status psal_edit_figure_write(const psal_edit_figure *figure, const char *path, psal_error *err);

/* ---- pictures of pictures ---- */

typedef struct psal_sheet_tile {
    const uint8_t *rgb; /* 8-bit RGB, height×width×3; any size, drawn centred and whole; NULL: an empty place */
    int height, width;
    const char *heading;                    /* "query", "1", ...; may be NULL */
    const char *true_name, *predicted_name; /* may be NULL */
    bool correct;                           /* colours the predicted name */
    double similarity;                      /* NaN: not shown */
    bool framed;                            /* the query, what others are compared with */
} psal_sheet_tile;

/* Contact sheet: tiles row by row. */
typedef struct psal_sheet_figure {
    const char *title, *subtitle; /* may be NULL */
    const psal_sheet_tile *tiles;
    size_t tile_count;  /* 1 to 1000 */
    size_t columns;     /* 0: chosen */
    const char *record; /* what it was made with, kept in the file; may be NULL */
    psal_figure_style style;
} psal_sheet_figure;

psal_status psal_sheet_figure_write(const psal_sheet_figure *figure, const char *path, psal_error *err);

/* What filters look for (saliency/look.h): crops of images with what a filter answers there. */
typedef struct psal_figure_crop {
    const uint8_t *rgb; /* 8-bit RGB, height×width×3; any size, drawn centred and whole; NULL: an empty place */
    int height, width;
    double activation;
    const char *caption; /* "Coat"; may be NULL */
} psal_figure_crop;

typedef struct psal_crops_row {
    const char *title;                /* "1  layer1.1.conv1.weight, filter 3" */
    const char *note;                 /* "saliency 9.06"; may be NULL */
    const psal_figure_crop *crops[4]; /* of the figure's groups: [columns] each */
} psal_crops_row;

/* One row per filter; groups of crops side by side. */
typedef struct psal_crops_figure {
    const char *title, *subtitle; /* may be NULL */
    size_t group_count;           /* 1 to 4 */
    const char *groups[4];        /* "this image", "largest in the data set": above their columns */
    size_t columns[4];            /* 1 to 20 each */
    bool framed[4];               /* what others are compared with */
    const psal_crops_row *rows;
    size_t row_count;   /* 1 to 100 */
    const char *record; /* what it was made with, kept in the file; may be NULL */
    psal_figure_style style;
} psal_crops_figure;

psal_status psal_crops_figure_write(const psal_crops_figure *figure, const char *path, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
