"""What images are looked at with: small networks of the harness's own, and Inception when its weights are there."""
