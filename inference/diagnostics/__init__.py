"""May q be used?"""
