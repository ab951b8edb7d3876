"""The recipes of the published models, one constant for each set of numbers, one module a project, named for network and input.

Numbers are those of the projects' configuration files; the path of the file is in `source`. Where a project says
two things, the value is the one the weights were made with and the other stands beside it. `assumed` lists the
fields that no file states. GluonCV's statistics (0.485, 0.456, 0.406 on a scale of 0 to 1) are the same numbers as
MMAction's (123.675, ... on 0 to 255), so both use the default. `micro_batch` is what one GPU had.
"""
