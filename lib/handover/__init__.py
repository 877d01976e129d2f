"""What a person hands over: an edit with its facts, scores, page and card; and the folder that the pipeline ran in."""
