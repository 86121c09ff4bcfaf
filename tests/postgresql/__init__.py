"""PostgreSQL on a volume of three nodes that are killed, hung and moved: is a commit lost?"""
