/* Two threads add to one number, and nothing orders them: what the thread sanitizer has to see. */
long total;

void race(int n) {
    #pragma omp parallel for num_threads(2)
    for (int i = 0; i < n; i++)
        total += i;
}
