"""What several tests share: small models, pools, requests, and the scripts that tests start as processes."""
