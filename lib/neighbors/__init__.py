"""Stage `neighbors`: the unedited facts that are trained on beside the edits."""
