plugins {
    id("com.android.application") version "8.7.3" apply false // from 8.5.1 on, libraries lie at multiples of 16 kB
    id("org.jetbrains.kotlin.android") version "2.1.0" apply false
}
