#!/usr/bin/env python3
"""Open a ronchi result file, or a TIFF, with every reader that can be imported here, and print what each saw.

HDF5: emdfile, py4DSTEM and HyperSpy: arrays with shape, unit, origin and pixel size; tables with their fields.
TIFF: tifffile: resolution tags and ImageJ's metadata. Exit code 1 if a reader fails or none is here.

    open_result.py result.emd [picture.tif …]
"""

import argparse
import importlib
import sys
import traceback


def show(path, array, unit, axes):
    """One array, and its axes as (name, origin, pixel size, unit)."""
    print(f"  {path}: {tuple(array.shape)} {array.dtype} [{unit}]")
    for name, origin, size, axis_unit in axes:
        print(f"      {name}: from {origin:g}, {size:g} {axis_unit} a pixel")


def show_tree(node, path=""):
    """Everything below a node of emdfile's tree, with its metadata's keys."""
    for name, child in node._branch.items():
        here = f"{path}/{name}"
        kind = type(child).__name__
        if hasattr(child, "dims"):
            axes = zip(child.dim_names, (d[0] for d in child.dims), (d[1] - d[0] if len(d) > 1 else 0 for d in child.dims), child.dim_units)
            show(here, child.data, child.units, axes)
        elif kind == "PointList":
            print(f"  {here}: {len(child.data)} points, fields {', '.join(child.fields)}")
        else:
            print(f"  {here}: {kind}")
        for bundle in child.metadata.values():
            print(f"      metadata {bundle.name}: {', '.join(bundle.keys)}")
        show_tree(child, here)


def with_emdfile(emdfile, path):
    """The tree as emdfile reads it."""
    show_tree(emdfile.read(path))


def with_py4dstem(py4DSTEM, path):
    """The tree as py4DSTEM reads it."""
    show_tree(py4DSTEM.read(path))


def with_hyperspy(api, path):
    """The signals as HyperSpy loads them."""
    signals = api.load(path)
    for signal in signals if isinstance(signals, list) else [signals]:
        axes = [(a.name, a.offset, a.scale, a.units) for a in signal.axes_manager._axes]
        show(signal.metadata.General.title, signal.data, signal.metadata.get_item("Signal.quantity", ""), axes)


def with_tifffile(tifffile, path):
    """Pages, tags and ImageJ's metadata as tifffile reads them."""
    wanted = {"XResolution", "YResolution", "ResolutionUnit", "ImageDescription", "Software"}
    with tifffile.TiffFile(path) as tiff:
        for series in tiff.series:
            print(f"  {series.name or 'series'}: {series.shape} {series.dtype} {series.axes}")
        for tag in tiff.pages[0].tags.values():
            if tag.name in wanted:
                print(f"      {tag.name}: {tag.value!r}")
        print(f"      ImageJ: {tiff.imagej_metadata}")


READERS = {
    "hdf5": {"emdfile": with_emdfile, "py4DSTEM": with_py4dstem, "hyperspy.api": with_hyperspy},
    "tiff": {"tifffile": with_tifffile},
}


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    opened, failed = 0, 0
    for path in args.files:
        kind = "tiff" if path.lower().endswith((".tif", ".tiff")) else "hdf5"
        for name, reader in READERS[kind].items():
            try:
                module = importlib.import_module(name)
            except ModuleNotFoundError:
                continue
            print(f"{path} with {name}")
            try:
                reader(module, path)
                opened += 1
            except Exception:
                traceback.print_exc(file=sys.stdout)
                failed += 1
    print(f"{opened} opened, {failed} failed")
    sys.exit(failed > 0 or opened == 0)


if __name__ == "__main__":
    main()
