cdef extern from "threads.h" nogil:
    ctypedef struct ft_barrier:
        int long_waits
    void ft_barrier_init(ft_barrier* barrier) noexcept
    void ft_barrier_wait(ft_barrier* barrier, int n_threads) noexcept
    int ft_team_size() noexcept

cdef int threads_worth(int budget, double work, double work_per_thread) noexcept nogil
cdef int threads_for_work(int budget, double work, double work_per_thread) noexcept nogil
