plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "melgan.drums"
    compileSdk = 35
    defaultConfig {
        applicationId = "melgan.drums"
        minSdk = 23
        targetSdk = 35
        versionCode = 1
        versionName = "1"
    }
    androidResources { noCompress += "tflite" } // the file is mapped into memory, not read
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    kotlinOptions { jvmTarget = "17" }
}

dependencies {
    implementation("com.google.ai.edge.litert:litert:1.4.2") // 2.0 has no Interpreter; from 1.4 on, pages may have 16 kB
}
