"""What a server's log tells of memory: `reading` takes lines out of what holds them, `story` knows what they mean,

`findings` judges, `command` is the command line's. All work line by line, in a memory that does not grow with the log.
"""
