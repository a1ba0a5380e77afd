"""
Files, in a folder or a bucket: a batch each, or rotating.

    json_lines.py   lines of JSON; open_files.py: those that rotate
    parquet.py      tables
    placing.py      where they are, and what they are called
"""
