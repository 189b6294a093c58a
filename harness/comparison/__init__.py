"""Two sets of records to verdicts: did a change keep what was measured before?"""
