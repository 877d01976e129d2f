"""Stage `report`: the page and its pictures."""
