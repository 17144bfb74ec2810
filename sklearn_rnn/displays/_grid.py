"""A grid of panels: its size, and which labels it needs."""

# Inches: width of a figure by its columns.
WIDTHS = {1: 8.0, 2: 10.5, 3: 13.0}
# More panels would be too small to read.
MAX_PANELS = 12


def tidy_grid(axes):
    """Label the lowest panels alone, and those on the left if all labels are equal."""
    n_cols = axes[0].get_gridspec().ncols
    has_one_label = len({ax.get_ylabel() for ax in axes}) == 1
    for i, ax in enumerate(axes):
        ax.yaxis.get_label().set_visible(i % n_cols == 0 or not has_one_label)
        is_lowest = i + n_cols >= len(axes)
        ax.tick_params(labelbottom=is_lowest)
        ax.xaxis.get_offset_text().set_visible(is_lowest)
        ax.xaxis.get_label().set_visible(is_lowest)
    axes[0].figure.align_ylabels(axes)
