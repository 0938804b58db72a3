module vatworkerd

go 1.26
