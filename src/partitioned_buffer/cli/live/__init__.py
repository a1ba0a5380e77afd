"""
The command line for the buffers of a running process: its page, and what is told over that.

    watching.py     `top`: one look after the other, until it is told to end
    asking.py       how the page is asked; looks.py: what it says of each buffer
    screens.py      shown as lines, or as JSON; drawing.py: by rich, on the whole terminal
    paging.py       `page`: serves that page for the buffers of a module
"""
