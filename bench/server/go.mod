module syncd/bench/server

go 1.19
